# SPDX-License-Identifier: Apache-2.0
"""File channels from an S3 endpoint: large objects, small ones, over a line with latency."""
from clients import Downloads
from servers import make_bucket
from workloads import Table, workload, write_random

BUCKET = "bench-data"
SERVED_BY = {"trainyard": "Trainyard's store", "versitygw": "versitygw"}


def put_all(server, source, bucket=BUCKET):
    """Each file as one PUT: its ETag is then its MD5, which rclone verifies."""
    make_bucket(server, bucket)
    s3 = server.client()
    for path in sorted(source.iterdir()):
        with open(path, "rb") as file:
            s3.put_object(Bucket=bucket, Key=path.name, Body=file)


def make_source(bench, count, size):
    source = bench.place("source")
    if size > 1 << 20:
        for number in range(count):
            write_random(source / f"object-{number:05}", size)
        return source
    for number in range(count):
        (source / f"object-{number:05}").write_bytes(number.to_bytes(8, "little") * (size // 8))
    return source


@workload("large", "File channel: large objects")
def large(bench):
    size, count = bench.size(256 << 20, 64 << 20), 2
    source = make_source(bench, count, size)
    tables = []
    for kind, which in (("trainyard", ("trainyard", "raw", "s5cmd", "rclone", "rclone-md5", "crt", "classic", "aws")),
                        ("versitygw", ("trainyard", "raw", "s5cmd", "rclone", "rclone-md5"))):
        server = bench.trainyard("store") if kind == "trainyard" else bench.peer(kind)
        if server is None:
            continue
        put_all(server, source)
        table = Table(f"{count} objects of {size >> 20} MiB from {SERVED_BY[kind]}", "GB/s",
                      "The whole program from its start to its end; targets on ext4, in the page cache, not synced.")
        clients = Downloads(server, BUCKET, source, bench.folder / "target")
        tables.append(bench.compare(table, clients.all(*which), servers=[server], seconds=170))
        if kind == "trainyard":
            bench.profile(table, clients.trainyard(), ["download_probe"])
        server.close()
    return tables


@workload("small", "File channel: 1 KiB objects")
def small(bench):
    tables = []
    for kind, full in (("trainyard", 10_000), ("versitygw", 3_000)):
        count = bench.size(full, 500)
        source = make_source(bench, count, 1024)
        server = bench.trainyard("store") if kind == "trainyard" else bench.peer(kind)
        if server is None:
            continue
        put_all(server, source)
        table = Table(f"{count:,} objects of 1 KiB from {SERVED_BY[kind]}", "objects/s",
                      "The whole program: listing, requests, files. CPU is per 1,000 objects.")
        clients = Downloads(server, BUCKET, source, bench.folder / "target", is_small=True)
        which = ("trainyard", "s5cmd", "rclone")
        tables.append(bench.compare(table, clients.all(*which), servers=[server], per="object", seconds=100))
        bench.profile(table, clients.trainyard(), ["download_probe", "trainyard", "worker", "versitygw"])
        server.close()
    return tables
