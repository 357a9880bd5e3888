# SPDX-License-Identifier: Apache-2.0
"""Broken TFRecords in a channel: reported with their number before the script starts, in every mode."""
import pytest
from conftest import PLAIN_ARGUMENTS, Jobs
from test_in_place import channel
from tfrecords import record


def tfrecords(count, size=100):
    """The file, and where each record begins."""
    body, offsets = b"", []
    for number in range(count):
        offsets.append(len(body))
        body += record(bytes([number % 256]) * size)
    return body, offsets


@pytest.fixture(scope="module")
def jobs(service):
    made = Jobs(service)
    body, offsets = tfrecords(50)
    broken = bytearray(body)
    broken[offsets[17] + 12 + 40] ^= 4
    made.s3.put_object(Bucket=made.bucket, Key="in/a.tfrecord", Body=body)
    made.s3.put_object(Bucket=made.bucket, Key="in/b.tfrecord", Body=bytes(broken))
    made.s3.put_object(Bucket=made.bucket, Key="in/c.csv", Body=b"1,2,3\n" * 100)
    made.told = f"s3://{made.bucket}/in/b.tfrecord: record 17, at byte {offsets[17]}"
    return made


LIST = """
    import os
    print("STARTED", *sorted(os.listdir("/opt/ml/input/data/train")))
"""


def run(jobs, mode="File", **tags):
    name = jobs.start(LIST, InputDataConfig=[channel(jobs, mode)],
                      Tags=[{"Key": f"trainyard:{key}", "Value": value} for key, value in tags.items()])
    return name, jobs.wait(name)


@pytest.mark.parametrize("mode", ["File", "FastFile"])
def test_a_flipped_bit_is_reported_before_the_script_starts(jobs, mode):
    name, description = run(jobs, mode)
    assert description["TrainingJobStatus"] == "Completed", jobs.lines(name)
    lines = jobs.lines(name)
    warning = next(i for i, line in enumerate(lines) if line.startswith("WARNING: broken TFRecord: " + jobs.told))
    assert warning < lines.index("STARTED a.tfrecord b.tfrecord c.csv")
    assert "Channel train: 99 records in 2 TFRecord files" in lines


def test_it_fails_the_job_where_the_tag_says_so(jobs):
    name, description = run(jobs, records="fail")
    assert description["TrainingJobStatus"] == "Failed"
    assert description["FailureReason"].startswith("ClientError: Data download failed:broken TFRecord: " + jobs.told)
    assert not [line for line in jobs.lines(name) if line.startswith("STARTED")]


def test_the_file_is_left_out_where_the_tag_says_so(jobs):
    name, description = run(jobs, records="skip-object")
    assert description["TrainingJobStatus"] == "Completed"
    assert "STARTED a.tfrecord c.csv" in jobs.lines(name)
    assert jobs.s3.head_object(Bucket=jobs.bucket, Key="in/b.tfrecord")["ContentLength"] > 0


def test_a_pipe_says_that_the_tag_has_no_effect(jobs):
    name = jobs.start("open('/opt/ml/input/data/train_0', 'rb').read()", InputDataConfig=[channel(jobs, "Pipe")],
                      Tags=[{"Key": "trainyard:records", "Value": "fail"}])
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed"
    assert any("trainyard:records = fail has no effect" in line for line in jobs.lines(name)), jobs.lines(name)


def test_nobody_looks_where_the_tag_says_so(jobs):
    name, _ = run(jobs, records="ignore")
    assert not [line for line in jobs.lines(name) if "TFRecord" in line]


@pytest.mark.parametrize("tag", [{"records": "fial"}, {"sharding": "objects"}, {"recordz": "fail"}])
def test_a_misspelt_tag_is_refused(jobs, tag):
    with pytest.raises(jobs.sagemaker.exceptions.ClientError, match="means nothing to Trainyard; there are"):
        run(jobs, **tag)


def test_the_configuration_has_the_default(own_service):
    jobs = Jobs(own_service("--broken-records", "fail", *PLAIN_ARGUMENTS))
    body, offsets = tfrecords(3)
    jobs.s3.put_object(Bucket=jobs.bucket, Key="in/cut.tfrecord", Body=body[:-1])
    assert f"record 2, at byte {offsets[2]}" in run(jobs)[1]["FailureReason"]
    assert run(jobs, records="report")[1]["TrainingJobStatus"] == "Completed"
