# SPDX-License-Identifier: Apache-2.0
"""Pipe mode and the data types that go with it, with real jobs: contract.md F.2 and F.3."""
import gzip
import json
import os
import random
import signal
import struct
import time

import pytest
from conftest import PLAIN_ARGUMENTS, Jobs

PARTS = {f"in/part-{n:02d}": random.Random(n).randbytes(10_000 * n) for n in range(8)}

READ = """
    import hashlib, json, os
    def epoch(number, channel="train"):
        with open(f"/opt/ml/input/data/{channel}_{number}", "rb") as pipe:
            return pipe.read()
"""


def channel(jobs, prefix="in", kind="S3Prefix", mode="Pipe", name="train", attributes=None, **members):
    source = {"S3DataType": kind, "S3Uri": f"s3://{jobs.bucket}/{prefix}"}
    if attributes:
        source["AttributeNames"] = attributes
    return {"ChannelName": name, "InputMode": mode, "DataSource": {"S3DataSource": source}} | members


@pytest.fixture(scope="module")
def jobs(service):
    from conftest import Jobs
    made = Jobs(service)
    for key, body in PARTS.items():
        made.s3.put_object(Bucket=made.bucket, Key=key, Body=body)
    return made


def run(jobs, script, *channels, **options):
    name = jobs.start(READ + script, InputDataConfig=list(channels), **options)
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    return name


def test_epochs_are_the_concatenation_of_the_objects(jobs):
    name = run(jobs, """
    for number in range(3):
        open(f"/opt/ml/model/{number}", "wb").write(epoch(number))
    assert os.path.exists("/opt/ml/input/data/train_3")
    config = json.load(open("/opt/ml/input/config/inputdataconfig.json"))
    assert config["train"]["TrainingInputMode"] == "Pipe", config
""", channel(jobs))
    whole = b"".join(PARTS[key] for key in sorted(PARTS))
    assert jobs.archive(name) == {str(number): whole for number in range(3)}


def test_a_pipe_that_nobody_reads_and_one_that_is_left_early(jobs):
    name = run(jobs, """
    with open("/opt/ml/input/data/train_0", "rb") as pipe:
        assert len(pipe.read(1000)) == 1000
    open("/opt/ml/model/whole", "wb").write(epoch(1))
""", channel(jobs), channel(jobs, name="unread"))
    assert jobs.archive(name)["whole"] == b"".join(PARTS[key] for key in sorted(PARTS))


def test_shuffled_orders_differ_by_epoch_and_are_the_seeds(jobs):
    def orders(seed):
        name = run(jobs, """
    for number in range(3):
        open(f"/opt/ml/model/{number}", "wb").write(epoch(number))
""", channel(jobs, ShuffleConfig={"Seed": seed}))
        return [jobs.archive(name)[str(number)] for number in range(3)]
    first = orders(7)
    assert first == orders(7) and first != orders(8) and len(set(first)) == 3
    assert all(sorted(one) == sorted(b"".join(PARTS.values())) for one in first)


def records(stream):
    """RecordIO: magic, length, data, padding to four bytes."""
    while stream:
        magic, length = struct.unpack_from("<II", stream)
        assert magic == 0xced7230a and length < 1 << 29
        yield stream[8:8 + length]
        stream = stream[8 + (length + 3) // 4 * 4:]


def test_gzip_and_record_io(jobs):
    texts = [f"shard {n} ".encode() * 1000 for n in range(3)]
    for number, text in enumerate(texts):
        jobs.s3.put_object(Bucket=jobs.bucket, Key=f"zipped/{number}.gz", Body=gzip.compress(text))
    name = run(jobs, """
    open("/opt/ml/model/plain", "wb").write(epoch(0))
    open("/opt/ml/model/wrapped", "wb").write(epoch(0, "wrapped"))
""", channel(jobs, "zipped", CompressionType="Gzip"),
               channel(jobs, "zipped", name="wrapped", CompressionType="Gzip", RecordWrapperType="RecordIO"))
    got = jobs.archive(name)
    assert got["plain"] == b"".join(texts) and list(records(got["wrapped"])) == texts


def test_an_augmented_manifest(jobs):
    lines = [{"image-ref": f"s3://{jobs.bucket}/in/part-{n:02d}", "class": n, "meta": {"kind": "é"}, "name": f"n{n}"}
             for n in (3, 1, 2)]
    jobs.s3.put_object(Bucket=jobs.bucket, Key="lists/train.manifest", Body="\n".join(map(json.dumps, lines)))
    name = run(jobs, """
    open("/opt/ml/model/got", "wb").write(epoch(0))
""", channel(jobs, "lists/train.manifest", "AugmentedManifestFile", attributes=["image-ref", "class", "name"],
             RecordWrapperType="RecordIO"))
    wanted = [piece for line in lines for piece in
              (PARTS[f"in/part-0{line['class']}"], str(line["class"]).encode(), line["name"].encode())]
    assert list(records(jobs.archive(name)["got"])) == wanted


@pytest.mark.parametrize("mode", ["File", "Pipe"])
def test_a_manifest_names_files(jobs, mode):
    manifest = [{"prefix": f"s3://{jobs.bucket}/"}, "in/part-05", "in/part-01"]
    jobs.s3.put_object(Bucket=jobs.bucket, Key="lists/some.manifest", Body=json.dumps(manifest))
    script = ("\n    open('/opt/ml/model/got', 'wb').write(epoch(0))" if mode == "Pipe" else
              "\n    import shutil\n    shutil.copytree('/opt/ml/input/data/train', '/opt/ml/model/got')")
    name = run(jobs, script, channel(jobs, "lists/some.manifest", "ManifestFile", mode))
    wanted = ({"got": PARTS["in/part-05"] + PARTS["in/part-01"]} if mode == "Pipe" else
              {"got/in/part-05": PARTS["in/part-05"], "got/in/part-01": PARTS["in/part-01"]})
    assert jobs.archive(name) == wanted


@pytest.mark.parametrize("body, told", [
    (b'[{"prefix": "s3://BUCKET/"}, "in/part-05", "in/none"]', "there is no s3://BUCKET/in/none"),
    (b'{"prefix": 1}', "manifest s3://BUCKET/lists/bad.manifest: "),
    (b'[{"prefix": "s3://BUCKET/"}, "../../etc/passwd"]', "there is no s3://BUCKET/../../etc/passwd")])
def test_a_wrong_manifest_fails_the_job_with_its_cause(jobs, body, told):
    jobs.s3.put_object(Bucket=jobs.bucket, Key="lists/bad.manifest", Body=body.replace(b"BUCKET", jobs.bucket.encode()))
    name = jobs.start("", InputDataConfig=[channel(jobs, "lists/bad.manifest", "ManifestFile", "File")])
    reason = jobs.wait(name)["FailureReason"]
    assert reason.startswith("ClientError: Data download failed:" + told.replace("BUCKET", jobs.bucket))


def test_damaged_gzip_is_no_end_of_data(jobs):
    body = bytearray(gzip.compress(os.urandom(100_000)))
    body[50_000] ^= 1
    jobs.s3.put_object(Bucket=jobs.bucket, Key="damaged/a.gz", Body=bytes(body))
    name = jobs.start(READ + "\n    epoch(0)\n    print('END OF DATA')",
                      InputDataConfig=[channel(jobs, "damaged", CompressionType="Gzip")])
    description = jobs.wait(name)
    assert description["TrainingJobStatus"] == "Failed"
    assert description["FailureReason"].startswith("ClientError: Data download failed:")
    assert f"s3://{jobs.bucket}/damaged/a.gz" in description["FailureReason"]
    assert "END OF DATA" not in jobs.lines(name)


def test_a_feeder_that_is_killed_fails_the_job(jobs):
    """Its reader sees an end of data; the job must not be Completed."""
    name = jobs.start(READ + """
    with open("/opt/ml/input/data/train_0", "rb") as pipe:
        pipe.read(10)
        print("READING", flush=True)
        while pipe.read(1 << 20):
            pass
    import signal
    signal.pause()
""", InputDataConfig=[channel(jobs)])
    jobs.wait_for_line(name, "READING")
    state = next((jobs.service.folder / "data/jobs" / name).glob("*/*/channels/train/feed/feed.pid"))
    os.kill(json.loads(state.read_text())["pid"], signal.SIGKILL)
    description = jobs.wait(name)
    assert description["TrainingJobStatus"] == "Failed"
    assert "the process that feeds channel train was lost" in description["FailureReason"]


def test_nothing_is_left_running(jobs):
    name = run(jobs, "\n    epoch(0)", channel(jobs))
    while (jobs.service.folder / "data/jobs" / name).exists():  # its agent takes its leave
        time.sleep(0.01)
    left = [path for path in os.listdir("/proc") if path.isdigit() and name in command_of(path)]
    assert not left


def command_of(pid):
    try:
        return open(f"/proc/{pid}/cmdline").read()
    except OSError:
        return ""


def test_an_agent_that_is_killed_after_the_script_does_not_miss_its_feeds(own_service):
    jobs = Jobs(own_service(*PLAIN_ARGUMENTS))
    for key, body in PARTS.items():
        jobs.s3.put_object(Bucket=jobs.bucket, Key=key, Body=body)
    name = jobs.start("""
        import os
        with open("/opt/ml/input/data/train_0", "rb") as pipe:
            pipe.read()
        with open("/opt/ml/model/big", "wb") as file:
            for _ in range(300):
                file.write(os.urandom(1 << 20))
    """, InputDataConfig=[channel(jobs)])
    jobs.wait(name, until=("Uploading", "Completed"), member="SecondaryStatus")
    agent = jobs.service.folder / "data/jobs" / name / "1/algo-1/agent.json"
    os.kill(json.loads(agent.read_text())["pid"], signal.SIGKILL)
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.describe(name)
