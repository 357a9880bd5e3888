# SPDX-License-Identifier: Apache-2.0
"""ModelTrainer with a command in place of a script."""
import sys

from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, SourceCode

trainer = ModelTrainer(
    training_image=sys.argv[1], base_job_name="command",
    source_code=SourceCode(source_dir="source", command="sh train.sh --quoted 'a b' && touch /opt/ml/input/data/code/x"),
    compute=Compute(instance_type="ml.m5.large", instance_count=1))
trainer.train(logs=False)
print("job:", trainer._latest_training_job.training_job_name)
print("status:", trainer._latest_training_job.training_job_status)
