# SPDX-License-Identifier: Apache-2.0
"""Trains digits with the SageMaker Python SDK v2. Nothing here knows which service answers: endpoint,
keys and region come from the environment (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, …)."""
import argparse
import os
import pathlib

import boto3
import sagemaker
from sagemaker.inputs import TrainingInput
from sagemaker.tensorflow import TensorFlow

HERE = pathlib.Path(__file__).resolve().parent

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, default=HERE / "tfrecords")
    parser.add_argument("--bucket", default="digits-example")
    parser.add_argument("--epochs", type=int, default=5)
    args = parser.parse_args()

    boto_session = boto3.Session()
    s3 = boto_session.client("s3")
    if args.bucket not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=args.bucket, CreateBucketConfiguration={
            "LocationConstraint": boto_session.region_name})
    session = sagemaker.Session(boto_session=boto_session, default_bucket=args.bucket)
    channels = {name: TrainingInput(session.upload_data(
        str(args.data / name), bucket=args.bucket, key_prefix=f"digits/{name}"))
        for name in ("train", "test")}

    estimator = TensorFlow(
        entry_point=str(HERE / "train.py"),
        role="arn:aws:iam::123456789012:role/SageMakerTraining",
        framework_version="2.19",
        py_version="py312",
        instance_count=1,
        instance_type="ml.m5.xlarge",
        hyperparameters={"epochs": args.epochs, "batch-size": 32},
        metric_definitions=[{"Name": "test:accuracy", "Regex": r"test accuracy: ([0-9.]+)"}],
        base_job_name="digits",
        sagemaker_session=session,
    )
    # fit(channels) alone would do; it looks for news every 10 s, which is long for a job of 5 s.
    estimator.fit(channels, wait=False)
    session.logs_for_job(estimator.latest_training_job.name, wait=True, poll=1)
    print("model_data:", estimator.model_data)
    if "MODEL_DATA_FILE" in os.environ:
        pathlib.Path(os.environ["MODEL_DATA_FILE"]).write_text(estimator.model_data)
