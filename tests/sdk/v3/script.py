# SPDX-License-Identifier: Apache-2.0
"""ModelTrainer with an entry script, its requirements, local data and a role that the SDK finds."""
import sys

from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode, StoppingCondition

trainer = ModelTrainer(
    training_image=sys.argv[1],
    source_code=SourceCode(source_dir="source", entry_script="train.py", requirements="requirements.txt"),
    compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=40),
    stopping_condition=StoppingCondition(max_runtime_in_seconds=900),
    hyperparameters={"epochs": 3, "name": "a b", "layers": [1, 2]}, environment={"TEAM_NAME": "blue sky"},
    base_job_name="script")
trainer.train(input_data_config=[InputData(channel_name="train", data_source="source")])
job = trainer._latest_training_job
print("job:", job.training_job_name)
print("status:", job.training_job_status)
print("model:", job.model_artifacts.s3_model_artifacts)
print("role:", job.role_arn)
