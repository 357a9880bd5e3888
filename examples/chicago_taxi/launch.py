# SPDX-License-Identifier: Apache-2.0
"""Trains chicago_taxi with the SageMaker Python SDK v2 on a folder with train/ and eval/ TFRecord shards."""
import argparse
import pathlib

import boto3
import sagemaker
from sagemaker.tensorflow import TensorFlow

HERE = pathlib.Path(__file__).resolve().parent

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--bucket", default="taxi-example")
    parser.add_argument("--epochs", type=int, default=3)
    args = parser.parse_args()
    boto_session = boto3.Session()
    s3 = boto_session.client("s3")
    if args.bucket not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=args.bucket, CreateBucketConfiguration={
            "LocationConstraint": boto_session.region_name})
    session = sagemaker.Session(boto_session=boto_session, default_bucket=args.bucket)
    channels = {name: session.upload_data(str(args.data / name), bucket=args.bucket,
                                          key_prefix=f"taxi/{name}") for name in ("train", "eval")}
    estimator = TensorFlow(
        entry_point=str(HERE / "train.py"), role="arn:aws:iam::123456789012:role/SageMakerTraining",
        framework_version="2.19", py_version="py312", instance_count=1, instance_type="ml.m5.xlarge",
        hyperparameters={"epochs": args.epochs}, model_dir=False,
        metric_definitions=[{"Name": "eval:auc", "Regex": r"auc: ([0-9.]+)"}],
        base_job_name="taxi", sagemaker_session=session)
    estimator.fit(channels)
    print("model_data:", estimator.model_data)
