# SPDX-License-Identifier: Apache-2.0
"""Downloads over a line on which packets take time: what a client does at once must win here."""
import json
import os
import pathlib
import subprocess
import sys
import time

from clients import Downloads
from downloads import make_source, put_all
from measuring import cpu_of
from servers import PROGRAM, Server, free_port
from workloads import Table, workload

BUCKET = "bench-far"


class FarTrainyard(Server):
    """Listens on the near end of the line; the clients are at its far end."""
    name, flags = "Trainyard", "trainyard serve"

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        ready = folder / "ready.json"
        process = subprocess.Popen(
            [PROGRAM, "serve", "--listen", f"10.77.0.1:{self.port}", "--allow-plain-http", "--data-dir", folder / "data",
             "--ready-file", ready], stdout=open(folder / "log", "ab"), stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 20
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "log").read_text()[-1000:])
            time.sleep(0.01)
        answer = json.loads(ready.read_text())
        self.process, self.pid = process, process.pid
        self.endpoint = f"http://10.77.0.1:{self.port}"
        self.access_key, self.secret_key = answer["access_key"], answer["secret_key"]

    def cpu(self):
        return cpu_of(self.pid)


class Line:
    """Exists as long as this object is open, with its network namespace."""

    def __init__(self, milliseconds):
        self.namespace = f"bench-{os.getpid()}-{milliseconds}"
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        self.process = subprocess.Popen(
            [sys.executable, pathlib.Path(__file__).with_name("delay_line.py"), self.namespace, str(milliseconds)],
            stdout=subprocess.PIPE)
        if self.process.stdout.readline() != b"ready\n":
            self.close()
            raise RuntimeError("no line: TUN devices and network namespaces need root")

    def cpu(self):
        return cpu_of(self.process.pid)

    def close(self):
        self.process.kill()
        self.process.wait()
        subprocess.run(["ip", "netns", "del", self.namespace], check=False)


@workload("latency", "File channel over a line with latency")
def latency(bench):
    tables = []
    for milliseconds in (5, 20):
        line = Line(milliseconds)
        try:
            tables += over(bench, line, milliseconds)
        finally:
            line.close()
    return tables


def over(bench, line, milliseconds):
    server = FarTrainyard(bench.place("far"))
    bench.stack.callback(server.close)
    tables = []
    for is_small in (False, True):
        size = 1024 if is_small else bench.size(128 << 20, 16 << 20)
        count = bench.size(2_000, 100) if is_small else 2
        bucket = f"{BUCKET}-{is_small:d}"
        source = make_source(bench, count, size)
        put_all(server, source, bucket)
        what = f"{count:,} objects of 1 KiB" if is_small else f"{count} objects of {size >> 20} MiB"
        table = Table(f"{what}, {milliseconds} ms each way", "objects/s" if is_small else "GB/s",
                      f"Round trips take {2 * milliseconds} ms; the server's CPU includes the line's, a program.")
        clients = Downloads(server, bucket, source, bench.folder / "target", is_small=is_small, is_far=True,
                            inside=["ip", "netns", "exec", line.namespace])
        bench.compare(table, clients.all("trainyard", "s5cmd", "rclone"), servers=[server, line],
                      per="object" if is_small else "GB", seconds=25)
        tables.append(table)
    return tables
