# SPDX-License-Identifier: Apache-2.0
"""ModelTrainer with the Torchrun driver: two processes on one instance."""
import sys

from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, SourceCode
from sagemaker.train.distributed import Torchrun

trainer = ModelTrainer(
    training_image=sys.argv[1], base_job_name="torchrun",
    source_code=SourceCode(source_dir="launched", entry_script="worker.py", requirements="requirements.txt"),
    distributed=Torchrun(process_count_per_node=2), hyperparameters={"epochs": 5},
    compute=Compute(instance_type="ml.m5.large", instance_count=1))
trainer.train(logs=False)
print("job:", trainer._latest_training_job.training_job_name)
print("status:", trainer._latest_training_job.training_job_status)
