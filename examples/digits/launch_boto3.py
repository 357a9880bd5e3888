# SPDX-License-Identifier: Apache-2.0
"""The same job with boto3 alone; follows the log and ends with the job's status."""
import argparse
import io
import json
import pathlib
import sys
import tarfile
import time

import boto3

HERE = pathlib.Path(__file__).resolve().parent
GROUP = "/aws/sagemaker/TrainingJobs"


def packed_source():
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(HERE / "train.py", "train.py")
    return archive.getvalue()


def channel(name, bucket):
    return {"ChannelName": name, "DataSource": {"S3DataSource": {
        "S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/digits/{name}"}}}


def follow(sagemaker, logs, job):
    """Prints new log lines until the job is terminal, and returns its description."""
    token = {}
    while True:
        description = sagemaker.describe_training_job(TrainingJobName=job)
        try:
            streams = logs.describe_log_streams(
                logGroupName=GROUP, logStreamNamePrefix=f"{job}/")["logStreams"]
        except logs.exceptions.ResourceNotFoundException:
            streams = []
        for stream in streams:
            page = logs.get_log_events(logGroupName=GROUP, logStreamName=stream["logStreamName"],
                                       startFromHead=True, **token)
            token = {"nextToken": page["nextForwardToken"]}
            for event in page["events"]:
                print(event["message"])
        if description["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"):
            return description
        time.sleep(0.5)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, default=HERE / "tfrecords")
    parser.add_argument("--bucket", default="digits-example")
    parser.add_argument("--epochs", type=int, default=5)
    args = parser.parse_args()
    s3, sagemaker, logs = (boto3.client(name) for name in ("s3", "sagemaker", "logs"))

    if args.bucket not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=args.bucket, CreateBucketConfiguration={
            "LocationConstraint": s3.meta.region_name})
    for path in args.data.glob("*/*.tfrecord"):
        s3.upload_file(str(path), args.bucket, f"digits/{path.parent.name}/{path.name}")
    job = f"digits-boto3-{time.strftime('%Y%m%d-%H%M%S')}"
    s3.put_object(Bucket=args.bucket, Key=f"{job}/sourcedir.tar.gz", Body=packed_source())
    sagemaker.create_training_job(
        TrainingJobName=job,
        RoleArn="arn:aws:iam::123456789012:role/SageMakerTraining",
        AlgorithmSpecification={
            "TrainingImage": "763104351884.dkr.ecr.us-west-2.amazonaws.com/"
                             "tensorflow-training:2.19-cpu-py312",
            "TrainingInputMode": "File"},
        HyperParameters={
            "epochs": str(args.epochs),
            "sagemaker_program": json.dumps("train.py"),
            "sagemaker_submit_directory": json.dumps(f"s3://{args.bucket}/{job}/sourcedir.tar.gz")},
        InputDataConfig=[channel("train", args.bucket), channel("test", args.bucket)],
        OutputDataConfig={"S3OutputPath": f"s3://{args.bucket}"},
        ResourceConfig={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        StoppingCondition={"MaxRuntimeInSeconds": 3600})
    description = follow(sagemaker, logs, job)
    print(description["TrainingJobStatus"], description.get("FailureReason", ""),
          description.get("ModelArtifacts", {}).get("S3ModelArtifacts", ""))
    sys.exit(description["TrainingJobStatus"] != "Completed")
