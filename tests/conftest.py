# SPDX-License-Identifier: Apache-2.0
"""A private server per test session, on a port the kernel picks, and real clients for it."""
import json
import os
import pathlib
import signal
import subprocess
import time
import uuid

import boto3
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = pathlib.Path(os.environ.get("TRAINYARD", ROOT / "build/release/trainyard"))


class Service:
    """`trainyard serve` with a data dir of its own; can be killed and started again."""

    def __init__(self, folder: pathlib.Path, *arguments: str):
        self.folder = folder
        self.arguments = arguments
        self.process = None
        self.port = 0
        self.start()

    def start(self):
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        log = open(self.folder / "server.log", "ab")
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--listen", f"127.0.0.1:{self.port}", "--data-dir", self.folder / "data",
             "--ready-file", ready, *self.arguments], stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "server.log").read_text()[-2000:])
            time.sleep(0.005)
        self.ready = json.loads(ready.read_text())
        self.port = int(self.ready["endpoint"].rsplit(":", 1)[1])

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


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    made = Service(tmp_path_factory.mktemp("service"))
    yield made
    assert made.kill(signal.SIGTERM) == 0


@pytest.fixture
def s3(service):
    return service.client("s3")


@pytest.fixture
def bucket(s3):
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    return name
