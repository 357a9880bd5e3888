# SPDX-License-Identifier: Apache-2.0
"""The embedded store from outside: its quota as clients see it, and the commands that look after it."""
import concurrent.futures
import hashlib
import http.client
import pathlib
import random
import subprocess
import threading
import time
import urllib.parse

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


PART = 5 << 20


def files_of(service):
    return [path for path in (service.folder / "data/objects").rglob("*") if path.is_file()]


def begin_upload(service, bucket):
    s3 = service.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    upload = {"Bucket": bucket, "Key": "key"}
    return upload | {"UploadId": s3.create_multipart_upload(**upload)["UploadId"]}


def complete(service, upload, etags):
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(etags.items())]
    service.client("s3").complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    return service.client("s3").get_object(Bucket=upload["Bucket"], Key="key")["Body"].read()


def test_a_part_that_was_cut_off_by_a_kill_harms_no_other(own_service):
    service = own_service()
    upload = begin_upload(service, "cut-off")
    whole = random.Random(1).randbytes(4 * PART)
    part = lambda number: whole[(number - 1) * PART:number * PART]
    send = lambda number: service.client("s3").upload_part(**upload, PartNumber=number, Body=part(number))["ETag"]
    etags = {number: send(number) for number in (1, 2)}
    shared, = files_of(service)
    url = urllib.parse.urlsplit(service.client("s3").generate_presigned_url(
        "upload_part", upload | {"PartNumber": 3}))
    connection = http.client.HTTPConnection(url.netloc)
    connection.putrequest("PUT", f"{url.path}?{url.query}")
    connection.putheader("Content-Length", str(PART))
    connection.endheaders()
    connection.send(b"?" * (PART // 2))
    deadline = time.monotonic() + 30
    while shared.stat().st_size <= 2 * PART:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    service.kill()
    service.start()
    listed = service.client("s3").list_parts(**upload)["Parts"]
    assert {entry["PartNumber"]: entry["ETag"] for entry in listed} == etags
    assert run_store(service, "verify").returncode == 0
    etags |= {number: send(number) for number in (3, 4)}
    assert complete(service, upload, etags) == whole
    assert files_of(service) == [shared]
    assert "1 objects" in run_store(service, "verify").stdout


def test_acknowledged_parts_survive_kills_while_others_are_written(own_service):
    service = own_service()
    upload = begin_upload(service, "killed")
    count = 16
    whole = random.Random(2).randbytes(count * PART - 12345)
    etags, is_up = {}, threading.Event()
    is_up.set()

    def send(number):
        while True:
            is_up.wait()
            try:
                body = whole[(number - 1) * PART:number * PART]
                etags[number] = service.client("s3").upload_part(**upload, PartNumber=number, Body=body)["ETag"]
                return
            except botocore.exceptions.BotoCoreError:  # no answer
                continue

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(send, number) for number in range(1, count + 1)]
        for acknowledged in (3, 7, 11):
            while len(etags) < acknowledged:
                time.sleep(0.002)
            is_up.clear()
            before = dict(etags)
            service.kill()
            service.start()
            listed = service.client("s3").list_parts(**upload)["Parts"]
            assert before.items() <= {part["PartNumber"]: part["ETag"] for part in listed}.items()
            is_up.set()
        for future in sent:
            future.result(120)
    assert run_store(service, "verify").returncode == 0
    got = complete(service, upload, etags)
    assert hashlib.sha256(got).digest() == hashlib.sha256(whole).digest()
    verified = run_store(service, "verify")
    assert verified.returncode == 0 and "1 objects" in verified.stdout
