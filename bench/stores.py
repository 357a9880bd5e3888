# SPDX-License-Identifier: Apache-2.0
"""The embedded store beside other servers, and the control plane: requests by load_probe, a client that costs
little, on kept connections."""
import json
import sqlite3
import time

from measuring import Contender, Failed, timed
from servers import PROBES, Jobs, empty_bucket, make_bucket
from workloads import Table, workload, write_random

BUCKET = "bench-store"
KEYS = 1_000_000


class Requests:
    """Contenders of one kind of request against one server each."""

    def __init__(self, kind, connections, seconds):
        self.kind, self.connections, self.seconds = kind, connections, seconds

    def to(self, server, target, body, each=1, *, name=None, after=None):
        """`each` is what one request counts for; `after` cleans up, before the next run."""
        flags = f"load_probe {self.kind}, {self.connections} connection{'s' * (self.connections > 1)}"

        def run():
            sample, output, _ = timed([PROBES / "load_probe", server.address, server.access_key, server.secret_key,
                                       self.kind, target, body, self.connections, self.seconds])
            requests, failed = output.split()[0], output.split()[2]
            if int(failed):
                raise Failed(f"{failed.decode()} requests failed")
            sample.count = float(requests) * sample.seconds * each
            return sample
        return Contender(name or server.name, f"{server.flags}; {flags}", run, after or (lambda: None))


def peers_of(bench):
    made = [bench.trainyard("store"), bench.peer("versitygw"), bench.peer("minio")]
    return [server for server in made if server]


@workload("store-get", "Store: GET")
def gets(bench):
    source = bench.place("source")
    files = source / BUCKET
    files.mkdir()
    size = bench.size(256 << 20, 32 << 20)
    write_random(files / "large", size)
    write_random(files / "small", 1024)
    servers = peers_of(bench)
    for server in servers:
        make_bucket(server, BUCKET)
        for name in ("large", "small"):
            with open(files / name, "rb") as file:
                server.client().put_object(Bucket=BUCKET, Key=name, Body=file)
    nginx = bench.nginx(source)
    servers += [nginx] if nginx else []
    tables = []
    for connections, key, each, unit in ((1, "large", size, "GB/s"), (4, "large", size, "GB/s"),
                                         (16, "small", 1, "requests/s")):
        what = f"{size >> 20} MiB" if key == "large" else "1 KiB"
        table = Table(f"GET {what}, {connections} connection{'s' * (connections > 1)}", unit,
                      "The client throws the bytes away and verifies nothing, whoever serves.")
        requests = Requests("get", connections, 1)
        contenders = [requests.to(server, f"{BUCKET}/{key}", "-", each) for server in servers]
        tables.append(bench.compare(table, contenders, servers=servers, per="GB" if key == "large" else "request"))
        bench.profile(table, contenders[0], ["trainyard", "worker", "load_probe"])
    return tables


@workload("store-put", "Store: PUT")
def puts(bench):
    size = bench.size(128 << 20, 8 << 20)
    servers = peers_of(bench)
    for server in servers:
        make_bucket(server, BUCKET)
    tables = []
    for connections, each, unit in ((1, size, "GB/s"), (8, size, "GB/s"), (16, 1024, "requests/s")):
        is_large = each == size
        table = Table(f"PUT {f'{size >> 20} MiB' if is_large else '1 KiB'}, {connections} "
                      f"connection{'s' * (connections > 1)}", unit,
                      "Trainyard and MinIO answer after fdatasync, versitygw does not sync.")
        requests = Requests("put", connections, 1)
        contenders = [requests.to(server, BUCKET, each, each if is_large else 1,
                                  after=(lambda server=server: empty_bucket(server, BUCKET)) if is_large else None)
                      for server in servers]
        tables.append(bench.compare(table, contenders, servers=servers, per="GB" if is_large else "request"))
        bench.profile(table, contenders[0], ["trainyard", "worker", "load_probe"])
        for server in servers if is_large else []:
            empty_bucket(server, BUCKET)
    return tables


def insert_keys(server, count):
    """Rows of objects without files, as a listing reads no file: a PUT for each would take minutes."""
    server.stop()
    database = sqlite3.connect(server.folder / "data/objects.db")
    with database:
        database.execute("""
            WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
            INSERT INTO object SELECT ?, CAST(printf('folder/%02d/shard-%07d.tfrecord', i / 10000, i) AS BLOB),
              printf('none-%07d', i), 1024, '00000000000000000000000000000000', 1790000000000, '{}', NULL, '' FROM n
        """, (count, BUCKET))
    database.close()
    server.start_again()


@workload("store-list", "Store: LIST")
def lists(bench):
    count = bench.size(KEYS, 20_000)
    server = bench.trainyard("store")
    make_bucket(server, BUCKET)
    insert_keys(server, count)
    target = f"{BUCKET}?list-type=2&max-keys=1000&start-after=folder%2F00%2Fshard-0000500.tfrecord"
    table = Table("LIST of 1,000 keys", "requests/s", "One connection; CPU of the server is per request.")
    requests = Requests("get", 1, 1)
    contenders = [requests.to(server, target, "-", name=f"Trainyard, {count:,} keys")]
    servers = [server]
    peer = bench.peer("versitygw")
    if peer:
        fewer = bench.size(100_000, 5_000)
        make_bucket(peer, BUCKET)
        for number in range(fewer):
            path = peer.data / BUCKET / f"folder/{number // 10000:02}/shard-{number:07}.tfrecord"
            if number % 10000 == 0:
                path.parent.mkdir(parents=True)
            path.touch()
        contenders.append(requests.to(peer, target, "-", name=f"versitygw, {fewer:,} keys"))
        servers.append(peer)
    bench.compare(table, contenders, servers=servers, per="request")
    bench.profile(table, contenders[0], ["trainyard", "worker"])
    return [table]


@workload("control", "Control plane")
def control(bench):
    server = bench.trainyard("service", "--max-running-jobs", "1")
    jobs = Jobs(server.service)
    first = jobs.start("import time; time.sleep(3600)")  # all others wait behind it
    jobs.wait(first, until=("Training",), member="SecondaryStatus")
    body = {
        "TrainingJobName": "bench-@", "RoleArn": "arn:aws:iam::123456789012:role/Trainer",
        "AlgorithmSpecification": {"TrainingImage": jobs.image, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{jobs.bucket}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "HyperParameters": {"sagemaker_program": '"train.py"',
                            "sagemaker_submit_directory": f'"s3://{jobs.bucket}/{first}/sourcedir.tar.gz"'}}
    table = Table("Requests, 16 connections", "requests/s",
                  "Signed requests, one after another on each connection. A Create is answered after it is on disk. "
                  "No peer serves this API at speed; CPU of the server is per request.")
    series = iter(range(1 << 30))

    def create():
        # Names start with the run, as those of two runs must differ.
        text = json.dumps(body | {"TrainingJobName": f"bench-{next(series)}-@"})
        return Requests("post", 16, 1).to(server, "CreateTrainingJob", text).run()

    requests = Requests("post", 16, 1)
    contenders = [
        requests.to(server, "DescribeTrainingJob", json.dumps({"TrainingJobName": first}), name="Describe"),
        Contender("Create", "load_probe post, 16 connections", create),
        requests.to(server, "ListTrainingJobs", '{"MaxResults":100}', name="List(100)")]
    bench.compare(table, contenders, servers=[server], per="request")
    for contender in contenders:
        bench.profile(table, contender, ["trainyard", "worker"])
    server.service.kill()  # thousands of jobs wait: nothing is to be ended one by one
    time.sleep(0.2)
    return [table]
