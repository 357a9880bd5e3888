# SPDX-License-Identifier: Apache-2.0
"""trainyard data inspect, push and verify, against a real service."""
import gzip
import hashlib
import io
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import threading
import zlib

import pytest
from boto3.s3.transfer import TransferConfig
from conftest import PROGRAM, ROOT
from tfrecords import masked_crc32c, record

TAXI = pathlib.Path(os.environ.get("TAXI_DATA", ROOT.parent / "shared/data/chicago-taxi"))
PART = 16 << 20


def field(number, data):
    length, head = len(data), b""
    while length > 0x7f:
        head, length = head + bytes([length & 0x7f | 0x80]), length >> 7
    return bytes([number << 3 | 2]) + head + bytes([length]) + data


def example(label, image):
    def entry(name, feature):
        return field(1, field(1, name) + field(2, feature))
    return field(1, entry(b"label", field(3, field(1, bytes([label])))) +
                 entry(b"image", field(1, field(1, image))))


class Relay:
    """Passes bytes on to a port and counts what is sent; holds them back beyond `limit`; breaks each of the
    first `lost` connections after its first piece."""

    def __init__(self, port, limit=None, lost=0):
        self.port, self.limit, self.lost, self.sent = port, limit, lost, 0
        self.is_full, self.may_go_on = threading.Event(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.lost > 0:
                self.lost -= 1
                client.recv(1 << 16)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()  # with a reset
                continue
            server = socket.create_connection(("127.0.0.1", self.port))
            threading.Thread(target=self.send, args=(client, server), daemon=True).start()
            threading.Thread(target=self.move, args=(server, client), daemon=True).start()

    def send(self, client, server):
        try:
            while data := client.recv(1 << 16):
                self.sent += len(data)
                if self.limit is not None and self.sent > self.limit:
                    self.is_full.set()
                    self.may_go_on.wait(60)
                server.sendall(data)
        except OSError:
            pass
        server.close()
        client.close()

    def move(self, server, client):
        try:
            while data := server.recv(1 << 16):
                client.sendall(data)
        except OSError:
            pass

    def close(self):
        self.may_go_on.set()
        self.listener.close()


@pytest.fixture
def relay(service):
    made = []

    def make(**options):
        made.append(Relay(service.port, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def data(service):
    def run(*arguments, status=0, endpoint=None):
        options = ("--endpoint", endpoint) if endpoint else ()
        done = subprocess.run([PROGRAM, "data", arguments[0], *options, *map(str, arguments[1:])],
                              env=service.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=300)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr
    return run


def keys(s3, bucket, prefix=""):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def body(s3, bucket, key):
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


FILES = {"a.txt": b"one", "empty": b"", "deep/er/b c+%.bin": bytes(range(256)), "Zürich/ü": b"two"}


def test_push_sends_only_what_differs(data, s3, bucket, tmp_path):
    write(tmp_path, FILES)
    target = f"s3://{bucket}/set"
    assert "4 uploaded" in data("push", tmp_path, target)
    assert {key: body(s3, bucket, f"set/{key}") for key in FILES} == FILES
    assert "0 uploaded (0 B), 4 unchanged" in data("push", tmp_path, target + "/")
    before = {key: s3.head_object(Bucket=bucket, Key=f"set/{key}")["LastModified"] for key in FILES}
    (tmp_path / "a.txt").write_bytes(b"two")  # as long as before
    (tmp_path / "new").write_bytes(b"new")
    assert "2 uploaded (6 B), 3 unchanged" in data("push", tmp_path, target)
    assert body(s3, bucket, "set/a.txt") == b"two"
    assert all(s3.head_object(Bucket=bucket, Key=f"set/{key}")["LastModified"] == before[key]
               for key in FILES if key != "a.txt")


def test_a_dry_run_changes_nothing_and_delete_deletes_only_below_the_folder(data, s3, bucket, tmp_path):
    write(tmp_path, FILES)
    for key in ("set/old", "set2/kept", "other"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    said = data("push", "--delete", "--dry-run", tmp_path, f"s3://{bucket}/set")
    assert "upload a.txt (3 B)\n" in said and "delete old\n" in said and "4 to upload" in said
    assert keys(s3, bucket) == ["other", "set/old", "set2/kept"]
    assert "1 deleted" in data("push", "--delete", tmp_path, f"s3://{bucket}/set")
    assert sorted(keys(s3, bucket)) == sorted([f"set/{name}" for name in FILES] + ["other", "set2/kept"])


def test_a_missing_bucket_is_made_when_asked_for(data, s3, bucket, tmp_path):
    write(tmp_path, FILES)
    assert "--make-bucket" in data("push", tmp_path, f"s3://{bucket}-x/set", status=1)
    data("push", "--make-bucket", "--dry-run", tmp_path, f"s3://{bucket}-x/set")
    assert f"{bucket}-x" not in [one["Name"] for one in s3.list_buckets()["Buckets"]]
    data("push", "--make-bucket", tmp_path, f"s3://{bucket}-x/set")
    assert len(keys(s3, f"{bucket}-x")) == 4


def test_what_cannot_be_an_object_is_named(data, s3, bucket, tmp_path):
    folder = tmp_path / "set"
    write(folder, {"good": b"good", "there/file": b"file"})
    (folder / "link").symlink_to("good")
    (folder / "folder").symlink_to("there")
    os.mkfifo(folder / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    with open(os.fsencode(folder) + b"/bad-\xff\x1b[2J", "wb"):
        pass
    s3.put_object(Bucket=bucket, Key="set/old", Body=b"x")
    said = data("push", "--delete", folder, f"s3://{bucket}/set", status=1)
    listener.close()
    assert "pipe: a pipe is no file" in said and "socket: a socket is no file" in said
    assert "bad-\ufffd?[2J: its name is no UTF-8" in said and "\x1b" not in said
    assert "2 links, 3 failed" in said
    # What cannot be read may be what stands for an object: nothing is deleted.
    assert keys(s3, bucket) == ["set/good", "set/old", "set/there/file"]
    for name in ("pipe", "socket"):
        (folder / name).unlink()
    os.unlink(os.fsencode(folder) + b"/bad-\xff\x1b[2J")
    data("push", "--delete", "--follow-links", folder, f"s3://{bucket}/set")
    assert keys(s3, bucket) == ["set/folder/file", "set/good", "set/link", "set/there/file"]
    (folder / "there/loop").symlink_to("..")
    assert "leads back to a folder above" in data("push", "--follow-links", folder, f"s3://{bucket}/set", status=1)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Large enough for parts, in a folder of its own."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "file").write_bytes(os.urandom(1 << 20) * 90 + b"end")
    return folder


def uploads(s3, bucket):
    return s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])


def digest(s3, bucket, key):
    return hashlib.sha256(body(s3, bucket, key)).hexdigest()


def test_an_interrupted_push_goes_on(service, data, s3, bucket, large, relay):
    slow = relay(limit=40 << 20)
    running = subprocess.Popen(
        [PROGRAM, "data", "push", "--jobs", "1", "--endpoint", slow.endpoint, large, f"s3://{bucket}/set"],
        env=service.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert slow.is_full.wait(60)
    running.send_signal(signal.SIGINT)
    said = "".join(running.communicate(timeout=60))
    assert running.returncode == 130, said
    assert "the same command goes on" in said
    assert keys(s3, bucket) == [] and len(uploads(s3, bucket)) == 1
    counting = relay()
    assert "1 uploaded" in data("push", large, f"s3://{bucket}/set", endpoint=counting.endpoint)
    assert counting.sent < (90 << 20) - PART  # two parts were there
    assert uploads(s3, bucket) == []
    assert digest(s3, bucket, "set/file") == hashlib.sha256((large / "file").read_bytes()).hexdigest()
    counting = relay()
    assert "1 unchanged" in data("push", large, f"s3://{bucket}/set", endpoint=counting.endpoint)
    assert counting.sent < 1 << 20


def test_a_file_that_changes_meanwhile_is_no_object(service, s3, bucket, tmp_path, relay):
    (tmp_path / "file").write_bytes(bytes(40 << 20))
    slow = relay(limit=20 << 20)
    running = subprocess.Popen(
        [PROGRAM, "data", "push", "--jobs", "1", "--endpoint", slow.endpoint, tmp_path, f"s3://{bucket}/set"],
        env=service.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert slow.is_full.wait(60)
    with open(tmp_path / "file", "r+b") as file:
        file.write(b"changed")
    slow.may_go_on.set()
    said = "".join(running.communicate(timeout=60))
    assert running.returncode == 1 and "changed while it was read" in said and "1 failed" in said, said
    assert keys(s3, bucket) == []


def test_a_service_that_is_gone_ends_the_push(data, large):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = data("push", large, "s3://bucket/set", status=1, endpoint=f"http://127.0.0.1:{port}")
    assert "Could" in said and f"127.0.0.1:{port}" in said


def test_parts_of_other_bytes_are_sent_again_and_other_uploads_are_left_alone(data, s3, bucket, large, relay):
    content = (large / "file").read_bytes()
    other = s3.create_multipart_upload(Bucket=bucket, Key="set/file")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="set/file", UploadId=other, PartNumber=1, Body=content[:8 << 20])
    ours = s3.create_multipart_upload(Bucket=bucket, Key="set/file")["UploadId"]
    for number, part in ((1, content[:PART]), (2, bytes(PART)), (3, content[2 * PART:3 * PART])):
        s3.upload_part(Bucket=bucket, Key="set/file", UploadId=ours, PartNumber=number, Body=part)
    counting = relay()
    data("push", large, f"s3://{bucket}/set", endpoint=counting.endpoint)
    assert (90 << 20) - 2 * PART < counting.sent < (90 << 20) - PART
    assert digest(s3, bucket, "set/file") == hashlib.sha256(content).hexdigest()
    assert [one["UploadId"] for one in uploads(s3, bucket)] == [other]


def test_objects_of_other_uploaders_are_recognized(data, s3, bucket, large):
    """boto3 sends parts of 8 MiB."""
    s3.upload_file(str(large / "file"), bucket, "set/file")
    assert "-" in s3.head_object(Bucket=bucket, Key="set/file")["ETag"]
    assert "1 unchanged" in data("push", large, f"s3://{bucket}/set")


def test_what_the_store_cannot_tell_is_compared_byte_for_byte(data, s3, bucket, large):
    """Parts of a size that nobody uses, and no checksum over the whole object."""
    s3.upload_file(str(large / "file"), bucket, "set/file", Config=TransferConfig(multipart_chunksize=7 << 20))
    assert "1 files compared, 0 differ" in data("verify", large, f"s3://{bucket}/set")
    content = bytearray((large / "file").read_bytes())
    content[50 << 20] ^= 1
    s3.upload_fileobj(io.BytesIO(content), bucket, "set/file", Config=TransferConfig(multipart_chunksize=7 << 20))
    assert "different  file" in data("verify", large, f"s3://{bucket}/set", status=1)


def test_files_at_the_sizes_where_uploads_change(data, s3, bucket, tmp_path):
    for size in (PART - 1, PART, PART + 1, 4 * PART, 4 * PART + 1):
        (tmp_path / str(size)).write_bytes(os.urandom(1 << 16) * (size >> 16) + b"x" * (size & 0xffff))
    assert "5 uploaded" in data("push", tmp_path, f"s3://{bucket}/set")
    for file in tmp_path.iterdir():
        assert digest(s3, bucket, f"set/{file.name}") == hashlib.sha256(file.read_bytes()).hexdigest()
    assert "5 unchanged" in data("push", tmp_path, f"s3://{bucket}/set")


def test_lost_connections_are_survived(data, s3, bucket, large, relay):
    assert "1 uploaded" in data("push", large, f"s3://{bucket}/set", endpoint=relay(lost=3).endpoint)
    assert digest(s3, bucket, "set/file") == hashlib.sha256((large / "file").read_bytes()).hexdigest()
    assert "0 differ" in data("verify", f"s3://{bucket}/set", endpoint=relay(lost=3).endpoint)


def test_many_small_files(data, s3, bucket, tmp_path):
    for number in range(2000):
        (tmp_path / f"{number:05}").write_bytes(b"x" * (number % 100))
    assert "2,000 uploaded" in data("push", tmp_path, f"s3://{bucket}/set")
    assert "2,000 unchanged" in data("push", tmp_path, f"s3://{bucket}/set")
    assert "2,000 files compared, 0 differ" in data("verify", tmp_path, f"s3://{bucket}/set")


def test_verify_names_each_difference(data, s3, bucket, tmp_path):
    write(tmp_path, FILES)
    data("push", tmp_path, f"s3://{bucket}/set")
    assert "4 files compared, 0 differ" in data("verify", tmp_path, f"s3://{bucket}/set")
    s3.put_object(Bucket=bucket, Key="set/a.txt", Body=b"two")
    s3.put_object(Bucket=bucket, Key="set/empty", Body=b"no more")
    s3.put_object(Bucket=bucket, Key="set/more", Body=b"x")
    s3.delete_object(Bucket=bucket, Key="set/Zürich/ü")
    said = data("verify", tmp_path, f"s3://{bucket}/set", status=1).splitlines()
    assert said == ["missing    Zürich/ü", "different  a.txt", "different  empty: 0 bytes here, 7 there",
                    "extra      more", "4 files compared, 4 differ or are damaged"]


def test_verify_reads_every_object(own_service, tmp_path):
    """A bit that rots in the store's own file is found, and so is a broken record."""
    service = own_service()
    s3 = service.client("s3")
    s3.create_bucket(Bucket="data", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})

    def verify(status, *where):
        done = subprocess.run([PROGRAM, "data", "verify", *where, "s3://data/set"], env=service.environment(),
                              stdout=subprocess.PIPE, text=True, timeout=60)
        assert done.returncode == status, done.stdout
        return done.stdout

    records = record(b"first") + record(b"second")
    s3.put_object(Bucket="data", Key="set/shard", Body=records)
    s3.put_object(Bucket="data", Key="set/text", Body=b"text that rots")
    assert "2 objects read" in verify(0) and "1 with 2 TFRecords" in verify(0)
    s3.put_object(Bucket="data", Key="set/damaged", Body=gzip.compress(records[:-1] + b"x"))
    assert "set/damaged: record 1, at byte 21 (unpacked): its data do not match" in verify(1)
    file = next(path for path in (tmp_path / "data").rglob("*") if path.is_file()
                and path.stat().st_size == len(b"text that rots") and path.read_bytes() == b"text that rots")
    file.chmod(0o644)
    file.write_bytes(b"text that rotz")
    for where in ((), ("--data-dir", tmp_path / "data")):  # over S3, and from the files
        said = verify(1, *where)
        assert "s3://data/set/text: the bytes do not match the checksum" in said and "2 differ" in said, said


def test_inspect_shows_records_features_and_damage(data, s3, bucket):
    plain = b"".join(record(example(n % 3, b"\xff\xd8" + bytes(20))) for n in range(10))
    broken = bytearray(plain)
    broken[len(plain) // 10 * 4 + 20] ^= 1
    # TensorFlow's compression_type "ZLIB" is zlib's format, "GZIP" gzip's.
    for name, content in (("a-zlib", zlib.compress(plain)), ("b-gzip", gzip.compress(plain)),
                          ("c-broken", bytes(broken)), ("d-cut.tfrecord", gzip.compress(plain)[:-20]),
                          ("e.csv", b"a,b\n1,2\n3,4\n5,6\n"), ("f.tfrecord", b"not what it is called")):
        s3.put_object(Bucket=bucket, Key=f"set/{name}", Body=content)
    found = json.loads(data("inspect", "--json", f"s3://{bucket}/set", status=1))
    objects = {one["key"][4:]: one for one in found["objects"]}
    assert [objects[key]["compression"] for key in ("a-zlib", "b-gzip", "c-broken")] == ["zlib", "gzip", "none"]
    size = len(plain) // 10 - 16
    assert all((objects[key]["records"], objects[key]["median"], objects[key]["largest"]) == (10, size, size)
               for key in ("a-zlib", "b-gzip"))
    assert objects["c-broken"]["broken"] == [
        {"record": 4, "byte": len(plain) // 10 * 4, "what": "its data do not match their checksum"}]
    assert objects["c-broken"]["records"] == 9
    assert objects["d-cut.tfrecord"]["broken_records"] == 1
    assert objects["e.csv"] == {"key": "set/e.csv", "bytes": 16, "kind": "*.csv"}
    assert objects["f.tfrecord"]["is_misnamed"] and "broken" not in objects["f.tfrecord"]
    image, label = found["features"]
    assert (label["name"], label["type"], label["least_values"], label["most_values"], label["examples"]) == (
        "label", "int64", 1, 1, ["0", "1", "2"])
    assert image["type"] == "bytes" and image["examples"] == ["<22 bytes: ffd8000000000000…>"]
    assert label["records"] == found["records"]
    said = data("inspect", f"s3://{bucket}/set", status=1)
    assert f"broken: s3://{bucket}/set/c-broken: record 4, at byte" in said
    assert f"note: s3://{bucket}/set/f.tfrecord is not a TFRecord file" in said


def test_inspect_of_nothing_says_so(data, bucket):
    assert "nothing is under" in data("inspect", f"s3://{bucket}/set", status=1)


def test_a_record_that_claims_all_memory_does_no_harm(data, s3, bucket):
    length = struct.pack("<Q", 1 << 60)
    s3.put_object(Bucket=bucket, Key="set/huge", Body=record(b"x") + length + masked_crc32c(length) + b"y")
    assert "record 1, at byte 17: the file ends within its data" in data("inspect", f"s3://{bucket}/set", status=1)


@pytest.mark.skipif(not TAXI.exists(), reason="no chicago-taxi data here; set TAXI_DATA")
def test_chicago_taxi(data, s3, bucket):
    target = f"s3://{bucket}/taxi"
    data("push", TAXI / "train", target)
    found = json.loads(data("inspect", "--json", target))
    assert (found["shards"], found["broken_records"], len(found["features"])) == (12, 0, 18)
    assert found["records"] == found["examples"] == sum(one["records"] for one in found["objects"])
    company = next(one for one in found["features"] if one["name"] == "company")
    assert (company["type"], company["least_values"], company["most_values"]) == ("bytes", 0, 1)
    assert "12 objects read" in data("verify", target)
    key = keys(s3, bucket, "taxi/")[5]
    content = bytearray(gzip.decompress(body(s3, bucket, key)))
    content[len(content) // 2] ^= 1
    s3.put_object(Bucket=bucket, Key=key, Body=gzip.compress(bytes(content)))
    assert f"broken: s3://{bucket}/{key}: record " in data("inspect", target, status=1)
    assert f"different  {key[5:]}" in data("verify", TAXI / "train", target, status=1)
