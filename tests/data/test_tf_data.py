# SPDX-License-Identifier: Apache-2.0
"""tf.data over real shards gives the same records in every mode, from this host's store and from elsewhere."""
import gzip
import os
import pathlib

import pytest
from conftest import PLAIN_ARGUMENTS, ROOT, TENSORFLOW_ARGUMENTS, Jobs, Service
from test_remotes import configuration
from tfrecords import record

TAXI = pathlib.Path(os.environ.get("TAXI_DATA", ROOT.parent / "shared/data/chicago-taxi"))
IMAGE = "763104351884.dkr.ecr.us-west-2.amazonaws.com/tensorflow-training:2.19-cpu-py312"

# A sum of hashes does not depend on the order, in which interleave and shards may differ.
DIGEST = """
    import hashlib, struct
    count, digest = 0, 0
    def take(data):
        global count, digest
        count, digest = count + 1, (digest + int.from_bytes(hashlib.md5(data).digest(), "big")) % (1 << 128)
"""
FILES = DIGEST + """
    import tensorflow as tf
    files = tf.data.Dataset.list_files("/opt/ml/input/data/train/*", shuffle=True)
    records = files.interleave(lambda file: tf.data.TFRecordDataset(file, compression_type="GZIP"),
                               cycle_length=4, num_parallel_calls=4, deterministic=False)
    for epoch in range(2):
        count, digest = 0, 0
        for one in records:
            take(one.numpy())
        print("DIGEST", epoch, count, digest)
"""
PIPES = DIGEST + """
    for epoch in range(2):
        count, digest = 0, 0
        with open(f"/opt/ml/input/data/train_{epoch}", "rb") as pipe:
            while head := pipe.read(12):
                take(pipe.read(struct.unpack("<Q", head[:8])[0]))
                pipe.read(4)
        print("DIGEST", epoch, count, digest)
"""


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    elsewhere = Service(tmp_path_factory.mktemp("elsewhere"), "--region", "eu-west-1", *PLAIN_ARGUMENTS)
    folder = tmp_path_factory.mktemp("tensorflow")
    (folder / "c.toml").write_text(configuration(elsewhere, secret=elsewhere.ready["secret_key"]))
    here = Service(folder, "--config", folder / "c.toml", "--cache-gib", "0", *TENSORFLOW_ARGUMENTS)
    yield here, elsewhere
    assert here.close() == 0 and elsewhere.close() == 0


@pytest.fixture(scope="module")
def shards():
    if TAXI.exists():
        return {path.name: path.read_bytes() for path in sorted((TAXI / "train").iterdir())}
    # A clone without the shared data has shards of our own making.
    return {f"shard-{n}.gz": gzip.compress(b"".join(record(b"%d/%d" % (n, m)) for m in range(99))) for n in range(12)}


@pytest.fixture(scope="module")
def jobs(services, shards):
    here, elsewhere = services
    made = Jobs(here, IMAGE)
    elsewhere.client("s3").create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for name, body in shards.items():
        made.s3.put_object(Bucket=made.bucket, Key=f"in/{name}", Body=body)
        elsewhere.client("s3").put_object(Bucket="lake", Key=f"in/{name}", Body=body)
    return made


def test_the_same_records_in_every_mode(jobs, services):
    digests = {}
    names = {}
    for bucket in (jobs.bucket, "lake"):
        for mode in ("File", "FastFile", "Pipe"):
            channel = {"ChannelName": "train", "InputMode": mode, "CompressionType": "Gzip" if mode == "Pipe" else "None",
                       "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/in/"}}}
            names[bucket, mode] = jobs.start(PIPES if mode == "Pipe" else FILES, InputDataConfig=[channel])
    for which, name in names.items():
        assert jobs.wait(name, seconds=300)["TrainingJobStatus"] == "Completed", jobs.lines(name)[-10:]
        digests[which] = [line.split()[2:] for line in jobs.lines(name) if line.startswith("DIGEST")]
    first = digests[jobs.bucket, "File"][0]
    assert int(first[0]) > 1000
    assert all(digest == [first, first] for digest in digests.values()), digests
    lazy = next(line for line in jobs.lines(names["lake", "FastFile"]) if line.startswith("Channel train: "))
    if services[0].has_walls and os.geteuid() == 0:
        assert "each byte on first read (fanotify)" in lazy


def test_a_flipped_bit_is_reported_when_it_is_read_lazily(jobs, services):
    """TensorFlow finds it; the FailureReason names the object and the record."""
    good = [record(b"record %d" % number) for number in range(9)]
    body = bytearray(b"".join(good))
    offset = sum(map(len, good[:5]))
    body[offset + 14] ^= 1
    services[1].client("s3").put_object(Bucket="lake", Key="flipped/a.tfrecord", Body=bytes(body))
    channel = {"ChannelName": "train", "InputMode": "FastFile", "DataSource": {"S3DataSource": {
        "S3DataType": "S3Prefix", "S3Uri": "s3://lake/flipped/"}}}
    name = jobs.start("""
    import tensorflow as tf
    for one in tf.data.TFRecordDataset("/opt/ml/input/data/train/a.tfrecord"):
        pass
    """, InputDataConfig=[channel])
    reason = jobs.wait(name)["FailureReason"]
    assert f"s3://lake/flipped/a.tfrecord: record 5, at byte {offset}" in reason
