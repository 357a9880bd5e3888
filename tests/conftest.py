# SPDX-License-Identifier: Apache-2.0
"""A private server per test session, on a port the kernel picks, and real clients for it."""
import io
import json
import os
import pathlib
import signal
import subprocess
import tarfile
import textwrap
import time
import uuid

import boto3
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = pathlib.Path(os.environ.get("TRAINYARD", ROOT / "build/release/trainyard"))


class Service:
    """`trainyard serve` with a data dir of its own; can be killed and started again."""

    def __init__(self, folder: pathlib.Path, *arguments, program=PROGRAM, user=None, environment=None):
        self.folder = folder
        self.arguments = arguments
        self.program, self.options = program, {"user": user, "group": user, "env": environment}
        self.process = None
        self.port = 0
        self.start()

    def start(self):
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        log = open(self.folder / "server.log", "ab")
        self.process = subprocess.Popen(
            [self.program, "serve", "--listen", f"127.0.0.1:{self.port}", "--data-dir", self.folder / "data",
             "--ready-file", ready, *self.arguments], stdout=log, stderr=log, **self.options)
        deadline = time.monotonic() + 30
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "server.log").read_text()[-2000:])
            time.sleep(0.005)
        self.ready = json.loads(ready.read_text())
        self.port = int(self.ready["endpoint"].rsplit(":", 1)[1])

    @property
    def has_walls(self):
        """False where the host forbids namespaces and the service said so."""
        return "NOT WALLED OFF" not in (self.folder / "server.log").read_text()

    def close(self):
        """Stops what still runs, so that a failed test leaves no script behind, then the server."""
        sagemaker = self.client("sagemaker")
        active = [job["TrainingJobName"] for status in ("InProgress", "Stopping") for job in
                  sagemaker.list_training_jobs(StatusEquals=status, MaxResults=100)["TrainingJobSummaries"]]
        for name in active:
            sagemaker.stop_training_job(TrainingJobName=name)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._holds_job_files():
            time.sleep(0.02)
        return self.kill(signal.SIGTERM)

    def _holds_job_files(self):
        try:
            return any(any((self.folder / "data" / kind).glob("*/*/*")) for kind in ("jobs", "containers"))
        except FileNotFoundError:  # a folder went while we looked into it: others may still be there
            return True

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        return self.process.wait(60)

    def environment(self) -> dict:
        """What `eval "$(trainyard env)"` sets, for the clients of one test."""
        keep = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return keep | {
            "AWS_ENDPOINT_URL": self.ready["endpoint"],
            "AWS_ACCESS_KEY_ID": self.ready["access_key"],
            "AWS_SECRET_ACCESS_KEY": self.ready["secret_key"],
            "AWS_DEFAULT_REGION": self.ready["region"],
            "AWS_REGION": self.ready["region"],
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, name: str, **options):
        return boto3.client(
            name, endpoint_url=self.ready["endpoint"], region_name=self.ready["region"],
            aws_access_key_id=self.ready["access_key"],
            aws_secret_access_key=self.ready["secret_key"], **options)


PLAIN = "1.dkr.ecr.us-west-2.amazonaws.com/plain-training:1.0-cpu-py311"
TENSORFLOW_LIKE = "1.dkr.ecr.us-west-2.amazonaws.com/tensorflow-like-training:1.0-cpu-py311"
PLAIN_ARGUMENTS = ("--environments", ROOT / "tests/training/environments.toml",
                   "--environments-dir", ROOT / "build/test-environments")
TENSORFLOW_ARGUMENTS = ("--environments-dir", ROOT / "build/environments")


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """Shared by tests that neither kill nor configure it; jobs run in the `plain` environment."""
    made = Service(tmp_path_factory.mktemp("service"), "--max-running-jobs", "2", *PLAIN_ARGUMENTS)
    yield made
    assert made.close() == 0


@pytest.fixture(scope="session")
def sdk_service(tmp_path_factory):
    """Of launch programs: all their jobs run at once."""
    made = Service(tmp_path_factory.mktemp("sdk"), "--max-running-jobs", "8", *PLAIN_ARGUMENTS)
    yield made
    assert made.close() == 0


@pytest.fixture
def own_service(tmp_path):
    """A factory of services for one test."""
    made = []

    def make(*arguments):
        made.append(Service(tmp_path, *arguments))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def jobs(service):
    return Jobs(service)


class Jobs:
    """Training jobs with boto3, as a launch script would make them."""

    def __init__(self, service, image=PLAIN):
        self.service, self.image = service, image
        self.s3, self.sagemaker, self.logs = (
            service.client(name) for name in ("s3", "sagemaker", "logs"))
        self.bucket = f"jobs-{uuid.uuid4().hex[:8]}"
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={
            "LocationConstraint": "us-west-2"})

    def start(self, script, files=None, links=None, program="train.py", hyperparameters=None,
              raw_hyperparameters=None, channels=None, **request):
        """Creates a job that runs `script`; `files` and symbolic `links` are packed beside it. Returns
        its name."""
        name = f"t-{uuid.uuid4().hex[:12]}"
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            contents = {program: textwrap.dedent(script)} if script is not None else {}
            for path, text in (contents | (files or {})).items():
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode = len(text.encode()), 0o644
                tar.addfile(entry, io.BytesIO(text.encode()))
            for path, target in (links or {}).items():
                entry = tarfile.TarInfo(path)
                entry.type, entry.linkname = tarfile.SYMTYPE, str(target)
                tar.addfile(entry)
        self.s3.put_object(Bucket=self.bucket, Key=f"{name}/sourcedir.tar.gz", Body=archive.getvalue())
        encoded = {key: json.dumps(value) for key, value in (hyperparameters or {}).items()}
        encoded |= {"sagemaker_program": json.dumps(program), "sagemaker_submit_directory": json.dumps(
            f"s3://{self.bucket}/{name}/sourcedir.tar.gz")} | (raw_hyperparameters or {})
        inputs = [{"ChannelName": channel, "DataSource": {"S3DataSource": {
            "S3DataType": "S3Prefix", "S3Uri": uri}}} for channel, uri in (channels or {}).items()]
        body = {
            "TrainingJobName": name, "RoleArn": "arn:aws:iam::123456789012:role/Trainer",
            "AlgorithmSpecification": {"TrainingImage": self.image, "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600}, "HyperParameters": encoded}
        if inputs:
            body["InputDataConfig"] = inputs
        self.sagemaker.create_training_job(**(body | request))
        return name

    def describe(self, name):
        return self.sagemaker.describe_training_job(TrainingJobName=name)

    def wait(self, name, until=("Completed", "Failed", "Stopped"), member="TrainingJobStatus",
             seconds=120):
        """Polls, as clients do, until the job's status is one of `until`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            description = self.describe(name)
            if description[member] in until:
                return description
            time.sleep(0.02)
        raise AssertionError(f"{name} is {description[member]} after {seconds} s")

    def run(self, script, **options):
        return self.wait(self.start(script, **options))

    def lines(self, name):
        """The messages of the job's log, oldest first."""
        group = "/aws/sagemaker/TrainingJobs"
        try:
            streams = self.logs.describe_log_streams(
                logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
        except self.logs.exceptions.ResourceNotFoundException:
            return []
        messages = []
        for stream in streams:
            token = {}
            while True:
                page = self.logs.get_log_events(logGroupName=group, startFromHead=True,
                                                logStreamName=stream["logStreamName"], **token)
                if not page["events"]:
                    break
                messages += [event["message"] for event in page["events"]]
                token = {"nextToken": page["nextForwardToken"]}
        return messages

    def wait_for_line(self, name, line, seconds=60):
        deadline = time.monotonic() + seconds
        while line not in self.lines(name):
            assert time.monotonic() < deadline, f"'{line}' never came: {self.lines(name)[-5:]}"
            time.sleep(0.02)

    def keys(self, prefix):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def archive(self, name, file="model.tar.gz"):
        """{member: bytes} of an uploaded archive."""
        body = self.s3.get_object(Bucket=self.bucket, Key=f"out/{name}/output/{file}")["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return {m.name: tar.extractfile(m).read() for m in tar.getmembers() if m.isfile()}

    def phases(self, name):
        return [step["Status"] for step in self.describe(name)["SecondaryStatusTransitions"]]


@pytest.fixture
def s3(service):
    return service.client("s3")


@pytest.fixture
def bucket(s3):
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    return name
