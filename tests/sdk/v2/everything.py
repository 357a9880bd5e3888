# SPDX-License-Identifier: Apache-2.0
"""Every argument that a File mode job on one instance takes."""
import pathlib
import sys
import tempfile

import sagemaker
from sagemaker.inputs import ShuffleConfig, TrainingInput
from sagemaker.tensorflow import TensorFlow

session = sagemaker.Session()
bucket = session.default_bucket()
folder = pathlib.Path(tempfile.mkdtemp())
for name in ("one.csv", "two.csv"):
    (folder / name).write_text("1,2\n")
data = session.upload_data(str(folder), key_prefix="everything/train")
estimator = TensorFlow(
    image_uri=sys.argv[1], role=sagemaker.get_execution_role(), instance_count=1, instance_type="ml.m5.large",
    volume_size=40, py_version="py311", framework_version="2.19", base_job_name="everything",
    entry_point="with_library.py", source_dir="source", dependencies=["library/lib"],
    hyperparameters={"epochs": 3, "rate": 0.5, "flag": True, "name": "a b", "layers": [1, 2], "nothing": None},
    metric_definitions=[{"Name": "loss", "Regex": "loss: ([0-9.]+)"}], environment={"TEAM_NAME": "blue sky"},
    tags=[{"Key": "team", "Value": "blue"}], output_path=f"s3://{bucket}/everything/out",
    code_location=f"s3://{bucket}/everything/code", checkpoint_s3_uri=f"s3://{bucket}/everything/checkpoints",
    checkpoint_local_path="/opt/ml/checkpoints", max_run=900, max_retry_attempts=2, disable_profiler=True,
    debugger_hook_config=False, keep_alive_period_in_seconds=60, input_mode="File", model_dir=False,
    encrypt_inter_container_traffic=True, enable_sagemaker_metrics=True, container_log_level=10,
    subnets=["subnet-1"], security_group_ids=["sg-1"])
channels = {
    "train": TrainingInput(data, distribution="FullyReplicated", content_type="text/csv", compression=None,
                           record_wrapping=None, s3_data_type="S3Prefix", input_mode="File",
                           shuffle_config=ShuffleConfig(7)),
    "shard": TrainingInput(data + "/one", distribution="ShardedByS3Key"),
    "plain": data}
estimator.fit(channels, wait=False, job_name=f"everything-{bucket[-6:]}-{folder.name.replace('_', '-')[-8:]}")
estimator.latest_training_job.wait(logs="None")
print("job:", estimator.latest_training_job.name)
print("model:", estimator.model_data)
print("tags:", session.sagemaker_client.list_tags(
    ResourceArn=estimator.latest_training_job.describe()["TrainingJobArn"])["Tags"])
