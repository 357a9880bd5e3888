# SPDX-License-Identifier: Apache-2.0
"""fit() with its log, then what a second notebook reads back."""
import sys

import sagemaker
from sagemaker.analytics import TrainingJobAnalytics
from sagemaker.estimator import Estimator

role = sagemaker.get_execution_role()
estimator = Estimator(
    image_uri=sys.argv[1], role=role, instance_count=1, instance_type="ml.m5.large",
    entry_point="train.py", source_dir="source", hyperparameters={"epochs": 3},
    metric_definitions=[{"Name": "loss", "Regex": "loss: ([0-9.]+)"}])
estimator.fit(wait=True, logs="All")
name = estimator.latest_training_job.name
attached = Estimator.attach(name)
print("model:", attached.model_data)
print("hyperparameters:", attached.hyperparameters()["epochs"])
frame = TrainingJobAnalytics(name, ["loss"]).dataframe()
print("losses:", frame["metric_name"].tolist(), frame["value"].tolist())
