# SPDX-License-Identifier: Apache-2.0
"""The forms that code comes in: shell script, package, git repository, and without a network."""
import sys

import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.tensorflow import TensorFlow

image, repository = sys.argv[1:]
common = dict(role=sagemaker.get_execution_role(), instance_count=1, instance_type="ml.m5.large", image_uri=image)
framework = dict(py_version="py311", framework_version="2.19", model_dir=False)
jobs = {
    "shell": Estimator(entry_point="train.sh", source_dir="source", hyperparameters={"epochs": 2}, **common),
    "package": Estimator(entry_point="trainer.py", source_dir="package", hyperparameters={"epochs": 4}, **common),
    "git": TensorFlow(entry_point="train.py", source_dir="code", git_config={"repo": repository, "branch": "main"},
                      **framework, **common),
    "isolated": TensorFlow(entry_point="train.py", source_dir="alone", enable_network_isolation=True,
                           **framework, **common)}
for estimator in jobs.values():
    estimator.fit(wait=False)
for form, estimator in jobs.items():
    estimator.latest_training_job.wait(logs="None")
    print(f"{form}: {estimator.latest_training_job.name}")
