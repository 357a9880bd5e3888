# SPDX-License-Identifier: Apache-2.0
"""The AWS CLI moves folders and large files, byte for byte, and the server stays small."""
import os
import pathlib
import subprocess
import sys
import threading
import uuid

import pytest
from conftest import PLAIN

AWS = pathlib.Path(sys.executable).parent / "aws"
LARGE_BYTES = int(os.environ.get("LARGE_BYTES", 256 << 20))


def aws(service, *arguments):
    done = subprocess.run([AWS, *map(str, arguments)], env=service.environment(), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


class PeakMemory:
    """The server's largest resident size meanwhile, in bytes."""

    def __init__(self, pid):
        self.pid, self.peak, self.done = pid, 0, threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def watch(self):
        while not self.done.wait(0.02):
            pages = int(pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()[1])
            self.peak = max(self.peak, pages * os.sysconf("SC_PAGE_SIZE"))


def test_sync_of_2000_files_both_ways(service, bucket, tmp_path):
    there, back = tmp_path / "there", tmp_path / "back"
    for i in range(2000):
        path = there / f"d{i % 20}" / f"file {i}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(i % 3000))
    aws(service, "s3", "sync", "--only-show-errors", there, f"s3://{bucket}/p")
    aws(service, "s3", "sync", "--only-show-errors", f"s3://{bucket}/p", back)
    subprocess.run(["diff", "-r", there, back], check=True)
    assert aws(service, "s3", "sync", there, f"s3://{bucket}/p") == "", "nothing is left to do"
    (there / "d1/file 1.bin").unlink()
    assert "delete: s3://" in aws(service, "s3", "sync", "--delete", there, f"s3://{bucket}/p")


def test_a_large_file_in_parts_both_ways(service, bucket, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    with open(source, "wb") as file:
        block = os.urandom(8 << 20)
        for at in range(0, LARGE_BYTES, len(block)):
            file.write(block[at % 4096:] + block[:at % 4096])
    with PeakMemory(service.process.pid) as memory:
        aws(service, "s3", "cp", "--only-show-errors", source, f"s3://{bucket}/large")
        aws(service, "s3", "cp", "--only-show-errors", f"s3://{bucket}/large", target)
    subprocess.run(["cmp", source, target], check=True)
    print(f"peak memory of the server: {memory.peak >> 20} MiB")
    assert memory.peak < 150 << 20
    source.unlink(), target.unlink()


def test_ls_rm_presign_and_rb(service, bucket, tmp_path):
    (tmp_path / "a").write_text("hello")
    aws(service, "s3", "cp", tmp_path / "a", f"s3://{bucket}/x/a")
    assert "PRE x/" in aws(service, "s3", "ls", f"s3://{bucket}")
    assert aws(service, "s3", "cp", f"s3://{bucket}/x/a", "-") == "hello"
    url = aws(service, "s3", "presign", f"s3://{bucket}/x/a").strip()
    assert subprocess.run(["curl", "-sf", url], stdout=subprocess.PIPE).stdout == b"hello"
    aws(service, "s3", "mv", f"s3://{bucket}/x/a", f"s3://{bucket}/y")
    aws(service, "s3", "rb", "--force", f"s3://{bucket}")
    assert bucket not in aws(service, "s3", "ls")


def test_sts_iam_and_errors(service):
    assert '"Account": "123456789012"' in aws(service, "sts", "get-caller-identity", "--output", "json")
    assert "sagemaker.amazonaws.com" in aws(service, "iam", "get-role", "--role-name", "R")
    done = subprocess.run([AWS, "sagemaker", "describe-training-job", "--training-job-name", "none"],
                          env=service.environment(), text=True, stderr=subprocess.PIPE)
    assert "ValidationException" in done.stderr and "Requested resource not found." in done.stderr
    done = subprocess.run([AWS, "sagemaker", "list-models"], env=service.environment(), text=True,
                          stderr=subprocess.PIPE)
    assert "SageMaker.ListModels is not supported" in done.stderr


VERSION_2 = pathlib.Path("/usr/bin/aws")  # Debian's package awscli


@pytest.mark.parametrize("program", [AWS, VERSION_2], ids=["version 1", "version 2"])
def test_a_training_job_from_data_to_model(service, program):
    if not program.exists():
        pytest.skip("this distribution has no package awscli")
    done = subprocess.run(
        [pathlib.Path(__file__).parent / "train_with_aws_cli.sh", program, f"cli-{uuid.uuid4().hex[:8]}", PLAIN],
        env=service.environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]
    lines = done.stdout.splitlines()
    assert any(line.split() == ["Completed", "2.3333332538604736"] or line.startswith("Completed\t2.33") for line in lines)
    assert "epoch 2 loss: 2.3333333333333335" in lines
    assert any(line.split()[1:] == ["3.0"] and line.startswith("2.333") for line in lines), lines
    assert lines[-1] == "7"
