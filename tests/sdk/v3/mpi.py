# SPDX-License-Identifier: Apache-2.0
"""ModelTrainer with the MPI driver, on an image that has no MPI."""
import sys

from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, SourceCode
from sagemaker.train.distributed import MPI

trainer = ModelTrainer(
    training_image=sys.argv[1], base_job_name="mpi",
    source_code=SourceCode(source_dir="alone", entry_script="train.py"), distributed=MPI(process_count_per_node=2),
    compute=Compute(instance_type="ml.m5.large", instance_count=1))
try:
    trainer.train(logs=False)
except Exception as error:
    print("error:", type(error).__name__, str(error).replace("\n", " "))
print("job:", trainer._latest_training_job.training_job_name)
