# SPDX-License-Identifier: Apache-2.0
"""Jobs over a bucket whose server fails and lies: right bytes, or a FailureReason that names object and byte."""
import hashlib
import html
import json
import os
import random
import re
import sys
import threading
import urllib.parse
from pathlib import Path

import pytest
from conftest import PLAIN_ARGUMENTS, Jobs, Service

sys.path.insert(0, str(Path(__file__).parent))
from lying_server import LyingServer  # noqa: E402

SEED = int(os.environ.get("SEED", "5"))
FAULTS = ("reset", "reset_middle", "truncate", "503", "500", "long_length", "flip", "garbage", "close")
READ = {
    "File": """
        import hashlib, json, pathlib
        root = pathlib.Path("/opt/ml/input/data/train")
        got = {str(p.relative_to(root)): hashlib.md5(p.read_bytes()).hexdigest() for p in root.rglob("*") if p.is_file()}
        print("GOT" + json.dumps(got))
    """,
    "Pipe": """
        import hashlib, json
        with open("/opt/ml/input/data/train_0", "rb") as pipe:
            print("GOT" + json.dumps(hashlib.md5(pipe.read()).hexdigest()))
    """}
READ["FastFile"] = READ["File"]


class LyingStore(LyingServer):
    """With listings, in which it does not lie."""

    def reply(self, connection, seen, fields):
        if not seen.path.startswith("/bucket?"):
            return super().reply(connection, seen, fields)
        query = urllib.parse.parse_qs(seen.path.partition("?")[2])
        keys = sorted(key for path in self.objects if (key := path.removeprefix("/bucket/"))
                      .startswith(query.get("prefix", [""])[0]))
        entries = "".join(
            f"<Contents><Key>{urllib.parse.quote(key)}</Key><Size>{len(self.objects['/bucket/' + key])}</Size>"
            f"<ETag>{html.escape(self.etag(key))}</ETag></Contents>"
            for key in keys[:int(query.get("max-keys", ["1000"])[0])])
        body = f"<ListBucketResult>{entries}</ListBucketResult>".encode()
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        return True


class Faults:
    """Which requests fail, and how. The number of a request decides, so that another try may pass."""

    def __init__(self):
        self.lock, self.choose = threading.Lock(), lambda seen, number: None

    def __call__(self, seen, number):
        with self.lock:
            return None if seen.path.startswith("/bucket?") else self.choose(seen, number)


OBJECTS = {f"in/part-{n:02d}": random.Random(n).randbytes(random.Random(n).choice((0, 1, 4096, 100_000, 3_000_000)))
           for n in range(24)}


@pytest.fixture(scope="module")
def store():
    with LyingStore(OBJECTS, fault=Faults()) as made:
        yield made


@pytest.fixture(scope="module")
def jobs(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    (folder / "c.toml").write_text(f'[s3.remotes.liar]\nbuckets = ["bucket"]\nendpoint = "{store.endpoint}"\n')
    made = Service(folder, "--config", folder / "c.toml", "--cache-gib", "0", *PLAIN_ARGUMENTS)
    yield Jobs(made)
    assert made.close() == 0


def run(jobs, mode, prefix="in"):
    channel = {"ChannelName": "train", "InputMode": mode, "DataSource": {"S3DataSource": {
        "S3DataType": "S3Prefix", "S3Uri": f"s3://bucket/{prefix}"}}}
    name = jobs.start(READ[mode], InputDataConfig=[channel])
    description = jobs.wait(name)
    got = next((json.loads(line[3:]) for line in jobs.lines(name) if line.startswith("GOT")), None)
    return description, got


def wanted(mode):
    if mode == "Pipe":
        return hashlib.md5(b"".join(OBJECTS[key] for key in sorted(OBJECTS))).hexdigest()
    return {key.removeprefix("in/"): hashlib.md5(body).hexdigest() for key, body in OBJECTS.items()}


@pytest.mark.parametrize("mode", READ)
@pytest.mark.parametrize("share", [0, 0.01, 0.1])
def test_right_bytes_or_a_reason_that_names_object_and_byte(jobs, store, mode, share):
    for round_number in range(3 if share else 1):
        rolls = random.Random(f"{SEED} {mode} {share} {round_number}")
        store.fault.choose = lambda seen, number: rolls.choice(FAULTS) if rolls.random() < share else None
        description, got = run(jobs, mode)
        if description["TrainingJobStatus"] == "Completed":
            assert got == wanted(mode)
        else:
            assert share, description["FailureReason"]
            reason = description["FailureReason"]
            assert reason.startswith("ClientError: Data download failed:"), reason
            assert re.search(r"s3://bucket/in/part-\d\d", reason) and re.search(r"byte", reason), reason


@pytest.mark.parametrize("mode", READ)
def test_bytes_that_are_always_wrong_never_make_a_completed_job(jobs, store, mode):
    store.fault.choose = lambda seen, number: "flip" if seen.path.endswith("part-03") else None
    assert OBJECTS["in/part-03"]
    description, _ = run(jobs, mode)
    assert description["TrainingJobStatus"] == "Failed"
    assert "s3://bucket/in/part-03" in description["FailureReason"]
    assert re.search("match|CRC32", description["FailureReason"])


@pytest.mark.parametrize("mode", READ)
def test_a_server_that_goes_away_ends_the_job(jobs, store, mode):
    store.fault.choose = lambda seen, number: "reset"
    description, _ = run(jobs, mode)
    assert description["TrainingJobStatus"] == "Failed" and "s3://bucket/in/part-" in description["FailureReason"]


def test_an_empty_object_does_not_stand_for_the_right_to_read(tmp_path):
    """What the cache has is shown to jobs that may read the bucket's objects, not only list them."""
    faults = Faults()
    with LyingStore({"in/a": b"", "in/b": b"b" * 1000}, fault=faults) as made:
        (tmp_path / "c.toml").write_text(f'[s3.remotes.liar]\nbuckets = ["bucket"]\nendpoint = "{made.endpoint}"\n')
        service = Service(tmp_path, "--config", tmp_path / "c.toml", *PLAIN_ARGUMENTS)
        assert run(Jobs(service), "File")[0]["TrainingJobStatus"] == "Completed"
        faults.choose = lambda seen, number: "403"
        description, got = run(Jobs(service), "File")
        assert service.close() == 0
    assert description["TrainingJobStatus"] == "Failed" and got is None
