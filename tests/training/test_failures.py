# SPDX-License-Identifier: Apache-2.0
"""Scripts that fail, each in a way of its own: the cause stands in the first 200 characters of FailureReason.

doc/failures.md shows them with what the service answered; ACCEPT=1 writes it anew."""
import gzip
import os
import re
import subprocess
import textwrap

import pytest
from conftest import PLAIN_ARGUMENTS, PROGRAM, ROOT, TENSORFLOW_ARGUMENTS, Jobs, Service
from tfrecords import record

DOCUMENT = ROOT / "doc/failures.md"
TENSORFLOW = "763104351884.dkr.ecr.us-west-2.amazonaws.com/tensorflow-training:2.19-cpu-py312"

# name: (script, what the first 200 characters must say, options)
SCRIPTS = {
    "an exception": ("""
        def main():
            raise ValueError("learning rate must be positive, not -1")
        main()
        """, "ValueError: learning rate must be positive, not -1 (train.py:2 in main)", {}),
    "a missing module": ("import pandas_of_tomorrow\n",
                         "No module named 'pandas_of_tomorrow' (train.py:1 in <module>)", {}),
    "a missing channel": ("import os\nprint(os.environ['SM_CHANNEL_VALIDATION'])\n",
                          "missing channel 'validation', there are train: KeyError", {"channels": ("train",)}),
    "a missing folder of a channel": (
        "open('/opt/ml/input/data/eval/a.csv')\n", "missing channel 'eval', the job has none", {}),
    "memory": ("""
        blocks = []
        while True:
            blocks.append(bytearray(8 << 20))
        """, "killed for memory: the job's limit is 256.0 MiB", {}),
    "a full disk": ("""
        with open("/opt/ml/model/weights", "wb") as file:
            while True:
                file.write(bytes(1 << 20))
        """, "disk full, ", {}),
    "a signal": ("""
        import ctypes
        print("calling native code", flush=True)
        ctypes.string_at(0)
        """, "ended as by SIGSEGV (signal 11); it last printed: calling native code", {}),
    "a hyperparameter that the script does not take": ("""
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--epochs", type=int)
        parser.parse_args()
        """, "train.py: error: unrecognized arguments: --rate 0.1", {"hyperparameters": {"rate": 0.1}}),
    "an exit code": ("""
        import sys
        print("the license server said no")
        sys.exit(3)
        """, "exit code 3; it last printed: the license server said no", {}),
    "a syntax error": ("def main(:\n    pass\n", "SyntaxError: invalid syntax (train.py:1)", {}),
    "a broken TFRecord": ("""
        import tensorflow as tf
        records = tf.data.TFRecordDataset("/opt/ml/input/data/train/b.tfrecord.gz", "GZIP")
        for record in records:
            pass
        """, "DataLossError: s3://{bucket}/records/b.tfrecord.gz: record 2, at byte {offset}: its data do not match "
             "their checksum (train.py:3", {"channels": ("train",), "image": TENSORFLOW}),
}


def broken_records():
    """A gzipped TFRecord file with one bit changed in the third record, and where that one begins."""
    records = [record(b"trip %d" % number) for number in range(5)]
    offset = len(records[0]) + len(records[1])
    body = bytearray(b"".join(records))
    body[offset + 14] ^= 1
    return gzip.compress(bytes(body)), offset


def fail(jobs, name):
    script, expected, options = SCRIPTS[name]
    options = dict(options)
    channels = {channel: f"s3://{jobs.bucket}/records" for channel in options.pop("channels", ())}
    body, offset = broken_records()
    jobs.s3.put_object(Bucket=jobs.bucket, Key="records/b.tfrecord.gz", Body=body)
    image, jobs.image = jobs.image, options.pop("image", jobs.image)
    job = jobs.start(textwrap.dedent(script).lstrip("\n"), channels=channels, **options)
    jobs.image = image
    description = jobs.wait(job)
    assert description["TrainingJobStatus"] == "Failed"
    return job, description["FailureReason"], expected.format(bucket=jobs.bucket, offset=offset)


@pytest.fixture(scope="module")
def small_service(tmp_path_factory):
    """With 256 MiB for a job, and jobs on a disk of 64 MiB."""
    folder = tmp_path_factory.mktemp("small")
    disk = folder / "data" / "jobs"
    disk.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], check=True)
    service = Service(folder, "--job-memory-mib", "256", "--max-running-jobs", "2", *PLAIN_ARGUMENTS)
    yield service
    service.close()
    subprocess.run(["umount", disk], check=True)


def section(name, script, reason):
    text = textwrap.indent(textwrap.dedent(script).strip("\n"), "    ")
    shown = textwrap.indent(re.sub(r"jobs-[0-9a-f]{8}", "my-bucket", reason), "    ")
    shown = re.sub(r"/\S*/layer/bin/python", "/…/bin/python", shown)
    return f"## {name[0].upper()}{name[1:]}\n\n{text}\n\nFailureReason:\n\n{shown}\n"


def documented(name):
    found = re.search(rf"^## {re.escape(name[0].upper() + name[1:])}\n.*?(?=^## |\Z)", DOCUMENT.read_text(), re.M | re.S)
    return found.group(0).strip() + "\n" if found else ""


def check(jobs, name):
    job, reason, expected = fail(jobs, name)
    assert re.match(r"AlgorithmError: (ExecuteUserScriptError|DataLossError):\nExitCode \d+\nErrorMessage ", reason)
    assert expected in reason[:200], reason
    seen = section(name, SCRIPTS[name][0], re.sub(r"disk full, \S+ \S+ free", "disk full, 0 B free", reason))
    if os.environ.get("ACCEPT"):
        text = DOCUMENT.read_text()
        old = documented(name)
        DOCUMENT.write_text(text.replace(old, seen) if old else text.rstrip("\n") + "\n\n" + seen)
    assert documented(name) == seen
    return job


@pytest.mark.parametrize("name", [name for name in SCRIPTS
                                  if name not in ("memory", "a full disk", "a broken TFRecord")])
def test_the_cause_comes_first(jobs, name):
    check(jobs, name)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
@pytest.mark.parametrize("name", ["memory", "a full disk"])
def test_what_the_host_ran_out_of_comes_first(small_service, name):
    check(Jobs(small_service), name)


def test_a_broken_record_is_named_with_its_object(own_service):
    check(Jobs(own_service(*TENSORFLOW_ARGUMENTS)), "a broken TFRecord")


def test_describe_tells_all_that_is_known(service, jobs):
    job = check(jobs, "a missing module")
    text = subprocess.run([PROGRAM, "describe", job, "--data-dir", service.folder / "data"], text=True,
                          stdout=subprocess.PIPE, check=True).stdout
    assert "why       cause: ModuleNotFoundError" in text
    assert "advice: add 'pandas_of_tomorrow' to requirements.txt in source_dir" in text
    assert any(line.startswith("Advice: add 'pandas_of_tomorrow'") for line in jobs.lines(job))


def test_the_page_shows_these_scripts_and_no_others():
    titles = re.findall(r"^## (.*)$", DOCUMENT.read_text(), re.M)
    assert sorted(titles) == sorted(name[0].upper() + name[1:] for name in SCRIPTS)
