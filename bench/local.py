# SPDX-License-Identifier: Apache-2.0
"""Pipe channels and model archives: programs of Trainyard beside programs of this machine."""
import json
import random
import struct
import subprocess
import time

import measuring
from measuring import Contender, Sample, timed
from servers import PROBES, has, make_bucket
from workloads import Table, workload


def pipe_runs(bench, mebibytes):
    """{way: samples} of one run of pipe_probe, which takes turns itself; the first turn is thrown away."""
    scratch = bench.place("pipe")
    begin, used, own = time.monotonic(), measuring.busy_seconds(), measuring.own_seconds()
    _, output, _ = timed([PROBES / "pipe_probe", scratch, mebibytes, bench.rounds + 1])
    took = time.monotonic() - begin
    foreign = (measuring.busy_seconds() - used - (measuring.own_seconds() - own)) / took / measuring.CORES
    ways = {}
    for line in output.splitlines():
        answer = json.loads(line)
        ways[answer["way"]] = [
            Sample(1 / rate, cpu, count=1e9, foreign=max(0, foreign))
            for rate, cpu in answer["runs"][1:]]
    return ways, foreign


@workload("pipe", "Pipe channel")
def pipe(bench):
    mebibytes = bench.size(512, 64)
    bench.say("  pipe_probe: local and remote, each beside its copy loop")
    measuring.warm(bench.folder, bench.size(2, 0.2))
    tries = []
    while len(tries) < bench.size(2, 1):  # the least disturbed of up to three
        measuring.wait_for_quiet(bench.size(20, 1))
        tries.append(pipe_runs(bench, mebibytes))
        if tries[-1][1] < measuring.DISTURBED:
            break
    ways = min(tries, key=lambda one: one[1])[0]
    flags = {"local pipe": "Feeder: splice from the store's file into a pipe of 1 MiB",
             "local copy loop": "read and write of 64 KiB, pipe of 64 KiB",
             "remote pipe": "Feeder: GET, verified, into a pipe of 1 MiB",
             "remote copy loop": "GET by libcurl, write as it comes, pipe of 64 KiB"}
    tables = []
    for where in ("local", "remote"):
        table = Table(f"One object of {mebibytes} MiB, {where}", "GB/s",
                      "From the feeder's start to the reader's last byte; the reader takes 1 MiB at a time. CPU is of "
                      "feeder, reader and, remote, of the server.")
        for way in (f"{where} pipe", f"{where} copy loop"):
            table.rows.append(measuring.row(Contender(way, flags[way], None), ways[way]))
        tables.append(table)
    return tables


def write_text(path, size):
    """Words in random order: shrinks to less than half, as text and logs do."""
    choose = random.Random(5)
    words = ["".join(choose.choices("etaoinshrdlcumwfgypbvk", k=choose.randrange(2, 11))) for _ in range(4000)]
    block = " ".join(choose.choices(words, k=1_300_000)).encode()[:8 << 20]
    path.write_bytes((block * (size // len(block) + 1))[:size])


def write_weights(path, size):
    """Floats around zero, as trained weights are: hardly shrinks."""
    choose = random.Random(5)
    block = struct.pack("<1048576f", *(choose.gauss(0, 0.05) for _ in range(1 << 20)))
    path.write_bytes((block * (size // len(block) + 1))[:size])


class Archives:
    """Contenders that pack one folder."""

    def __init__(self, folder, size):
        self.folder, self.size = folder, size

    def by(self, name, flags, command, note=""):
        def run():
            sample, _, errors = timed(command, stdout=subprocess.DEVNULL)
            sample.count = self.size
            if b"ratio" in errors:
                self.ratio = float(errors.split(b"ratio ")[1].split(b",")[0])
            return sample
        return Contender(name, flags, run, note=note)

    def all(self, server):
        tar = f"tar -C {self.folder} -cf - . | "
        made = [self.by("Trainyard", "pack_probe FOLDER > /dev/null: what makes model.tar.gz",
                        [PROBES / "pack_probe", self.folder]),
                self.by("Trainyard, uploaded", "pack_probe FOLDER to Trainyard's store, in parts, each synced",
                        [PROBES / "pack_probe", self.folder, server.endpoint, server.access_key, server.secret_key,
                         "s3://bench-models/model.tar.gz"])]
        if has("pigz"):
            made.append(self.by("pigz -6", "tar -cf - . | pigz -6 -p 2 > /dev/null", ["sh", "-c", f"{tar}pigz -6 -p 2"]))
        made.append(self.by("gzip -6", "tar -cf - . | gzip -6 > /dev/null", ["sh", "-c", f"{tar}gzip -6"]))
        return made


def shrinks_to(command, folder):
    """How many times smaller the archive is."""
    made = subprocess.run(["sh", "-c", f"tar -C {folder} -cf - . | {command} | wc -c"], stdout=subprocess.PIPE,
                          check=True).stdout
    return int(made)


@workload("archive", "model.tar.gz")
def archive(bench):
    size = bench.size(96 << 20, 16 << 20)
    server = bench.trainyard("store")
    make_bucket(server, "bench-models")
    tables = []
    for title, write in (("text-like files", write_text), ("fp32 weights", write_weights)):
        folder = bench.place("model")
        write(folder / "data", size)
        archives = Archives(folder, size)
        table = Table(f"{size >> 20} MiB of {title}", "GB/s", "Bytes that are read, per second, from the page cache.")
        bench.compare(table, archives.all(server), servers=[server], seconds=170)
        if has("pigz"):
            table.facts["times smaller"] = {"Trainyard": archives.ratio,
                                            "pigz -6": round(size / shrinks_to("pigz -6", folder), 3)}
        bench.profile(table, archives.all(server)[0], ["pack_probe"])
        tables.append(table)
    return tables
