# SPDX-License-Identifier: Apache-2.0
"""The embedded store from outside: its quota as clients see it, and the commands that look after it."""
import pathlib
import subprocess

import botocore.exceptions
import pytest

from conftest import PROGRAM


def run_store(service, action):
    return subprocess.run([PROGRAM, "store", action, "--data-dir", service.folder / "data"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_full_store_refuses_at_once_and_says_what_to_do(own_service):
    service = own_service("--store-quota", str(1 << 20))
    s3 = service.client("s3")
    s3.create_bucket(Bucket="full", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_object(Bucket="full", Key="a", Body=b"x" * 1_000_000)
    calls = []
    s3.meta.events.register("before-send.s3.PutObject", lambda **_: calls.append(1))
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        s3.put_object(Bucket="full", Key="b", Body=b"x" * 100_000)
    assert caught.value.response["Error"]["Code"] == "QuotaExceeded"
    assert "store-quota" in caught.value.response["Error"]["Message"]
    assert len(calls) == 1  # repeating it would not help
    s3.delete_object(Bucket="full", Key="a")
    s3.put_object(Bucket="full", Key="b", Body=b"x" * 100_000)


def test_usage_and_verify_beside_a_running_service(own_service):
    service = own_service()
    s3 = service.client("s3")
    for bucket in ("one", "two"):
        name = f"store-{bucket}"
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        for number in range(10):
            s3.put_object(Bucket=name, Key=f"k/{number}", Body=f"{bucket} {number}".encode() * 1000)
    usage = run_store(service, "usage")
    assert usage.returncode == 0 and "20 objects in 2 buckets" in usage.stdout
    whole = run_store(service, "verify")
    assert whole.returncode == 0 and "0 damaged" in whole.stdout

    wanted = b"two 7" * 1000
    files = [path for path in (service.folder / "data/objects").rglob("*") if path.is_file()]
    rotten = next(path for path in files if path.read_bytes() == wanted)
    assert rotten.stat().st_mode & 0o444 == 0o444
    rotten.chmod(0o644)
    rotten.write_bytes(b"X" + wanted[1:])
    damaged = run_store(service, "verify")
    assert damaged.returncode == 1
    assert "s3://store-two/k/7" in damaged.stdout and "1 damaged" in damaged.stdout


def test_verify_without_a_store_says_where_it_looked(tmp_path):
    class Nowhere:
        folder = pathlib.Path(tmp_path)
    failed = run_store(Nowhere, "verify")
    assert failed.returncode == 1 and "objects.db" in failed.stderr
