# SPDX-License-Identifier: Apache-2.0
"""Whole jobs: how soon the script's first line runs, and what a second job over the same data moves."""
import os
import pathlib
import subprocess
import time

from measuring import Contender, Failed, Sample
from servers import PROGRAM, Jobs, make_bucket
from workloads import Table, workload, write_random

FIRST_LINE = "import time; print('first', time.time(), flush=True)"
SCRIPT = FIRST_LINE + """
import os
print('files', sum(len(files) for _, _, files in os.walk('/opt/ml/input/data/train')), flush=True)
"""


def channel(bucket, prefix, mode):
    return [{"ChannelName": "train", "InputMode": mode, "DataSource": {"S3DataSource": {
        "S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/{prefix}"}}}]


def number_after(lines, word):
    return float(next(line for line in lines if line.startswith(f"{word} ")).split()[1])


def run_job(jobs, **request):
    """Seconds from CreateTrainingJob to the script's first statement, and the job's log."""
    name = jobs.start(SCRIPT, **request)
    description = jobs.wait(name, seconds=300)
    lines = jobs.lines(name)
    if description["TrainingJobStatus"] != "Completed":
        raise Failed(description.get("FailureReason", "the job did not complete"))
    return number_after(lines, "first") - description["CreationTime"].timestamp(), lines


def push(server, folder, uri):
    subprocess.run([PROGRAM, "data", "push", folder, uri], env=server.environment(), check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def put_channels(bench, server, bucket):
    """{title: (prefix, number of files)}."""
    source = bench.place("source")
    with open(source / "one", "wb") as file:
        file.truncate(bench.size(1 << 20, 1 << 16))
    push(server, source, f"s3://{bucket}/tiny/")
    large = bench.size(8 << 30, 64 << 20)
    with open(source / "one", "wb") as file:
        file.truncate(large)
    push(server, source, f"s3://{bucket}/large/")
    (source / "one").unlink()
    count = bench.size(10_000, 500)
    for number in range(count):
        (source / f"part-{number:05}").write_bytes(b"x" * 1024)
    push(server, source, f"s3://{bucket}/many/")
    unit = f"{large >> 30} GiB" if large >> 30 else f"{large >> 20} MiB"
    return {"1 object of 1 MiB": ("tiny", 1), f"1 object of {unit}": ("large", 1),
            f"{count:,} objects of 1 KiB": ("many", count)}


@workload("start", "Start of a job with a channel from the embedded store")
def start(bench):
    server = bench.trainyard("service")
    jobs = Jobs(server.service)
    channels = put_channels(bench, server, jobs.bucket)
    run_job(jobs)  # builds the environment

    def contender(title, prefix, files, mode):
        def run():
            seconds, lines = run_job(jobs, InputDataConfig=channel(jobs.bucket, prefix, mode))
            if number_after(lines, "files") != files:
                raise Failed("files are missing")
            if not any("no byte moved" in line for line in lines):
                raise Failed("bytes moved: this host forbids what showing objects in place needs")
            return Sample(seconds)
        return Contender(f"{mode}: {title}", "a job with one channel", run)

    def by_hand():
        python = next((PROGRAM.parent.parent / "test-environments").glob("plain-*/bin/python"))
        begin = time.time()
        line = subprocess.run([python, "-c", FIRST_LINE], stdout=subprocess.PIPE, text=True, check=True).stdout
        return Sample(float(line.split()[1]) - begin)

    table = Table("CreateTrainingJob to the script's first statement", "ms",
                  "Job creation, instance, environment, source archive, channel in place, Python's own start. The "
                  "job's own processes count as others in *disturbed*, as they are no children of the client.")
    contenders = [Contender("no channel", "a job without data", lambda: Sample(run_job(jobs)[0]))]
    contenders += [contender(title, *channels[title], mode) for title in channels for mode in ("File", "FastFile")
                   if mode == "File" or channels[title][0] != "tiny"]
    contenders.append(Contender("python by hand", "the same interpreter and statement, no service", by_hand))
    return [bench.compare(table, contenders, servers=[server], per="job")]


def bytes_sent(pid):
    """That a process has written, by sendfile as well."""
    lines = pathlib.Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("wchar")).split()[1])


@workload("again", "Second job on the same remote data")
def again(bench):
    size, count = bench.size(128 << 20, 8 << 20), 2
    elsewhere = bench.trainyard("elsewhere")
    make_bucket(elsewhere, "lake")
    folder = bench.place("service")
    (folder / "trainyard.toml").write_text(f"""
        [s3.remotes.lake]
        buckets = ["lake"]
        endpoint = "{elsewhere.endpoint}"
        region = "us-west-2"
        access_key = "{elsewhere.access_key}"
        secret_key = "{elsewhere.secret_key}"
    """)
    server = bench.trainyard("service", "--config", folder / "trainyard.toml")
    jobs = Jobs(server.service)
    run_job(jobs)  # builds the environment
    table = Table(f"A channel of {count} objects of {size >> 20} MiB in another S3 service", "ms",
                  "CreateTrainingJob to the script's first statement. Each first job has data of its own.")
    sent = {"first job": [], "second job": []}
    rounds = iter(range(1000))
    current = []

    def put_new():
        source = bench.place("source")
        for number in range(count):
            write_random(source / f"part-{number}", size)
        current[:] = [f"round-{next(rounds)}"]
        push(elsewhere, source, f"s3://lake/{current[0]}/")

    def contender(name):
        def run():
            before = bytes_sent(elsewhere.pid)
            seconds, lines = run_job(jobs, InputDataConfig=channel("lake", current[0], "File"))
            sent[name].append(bytes_sent(elsewhere.pid) - before)
            if ("from this host's cache" in " ".join(lines)) != (name == "second job"):
                raise Failed("the cache is not what this is about")
            return Sample(seconds)
        return Contender(name, "File mode, [s3.remotes] to a second trainyard", run,
                         put_new if name == "first job" else lambda: None)

    bench.compare(table, [contender("first job"), contender("second job")], servers=[server], per="job", seconds=100)
    table.facts["bytes that the other service sent, per job, answers to LIST and HEAD included"] = {
        name: f"{max(values):,}" for name, values in sent.items() if values}
    return [table]
