# SPDX-License-Identifier: Apache-2.0
"""How a failure reaches the notebook."""
import sys

import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.exceptions import UnexpectedStatusException

estimator = Estimator(
    image_uri=sys.argv[1], role=sagemaker.get_execution_role(), instance_count=1, instance_type="ml.m5.large",
    entry_point="failing.py", source_dir="alone")
try:
    estimator.fit(logs="None")
except UnexpectedStatusException as error:
    print("status:", error.actual_status)
    print("error:", error)
