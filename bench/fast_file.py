# SPDX-License-Identifier: Apache-2.0
"""FastFile channels: files whose bytes come on first read, beside s3fs."""
import os
import pathlib
import shutil
import subprocess
import sys
import time

from downloads import make_source, put_all
from measuring import Contender, cpu_of, processes_below, timed
from servers import REGION, has
from workloads import Table, workload

from lazy import Lazy  # noqa: E402  of tests/data, which `servers` puts on the path

BUCKET = "bench-lazy"
READER = pathlib.Path(__file__).with_name("read_all.py")
AGAIN = 4  # passes of a second read: one would be over too soon to be timed


class Tier:
    """The daemon of one tier of Trainyard, as the agent starts it."""

    def __init__(self, folder, server, keys, tier):
        self.folder, self.server, self.keys, self.tier = folder, server, keys, tier
        self.name = {"fanotify": "FastFile, pre-content marks", "fuse": "FastFile, FUSE tier"}[tier]
        self.flags = f"trainyard hydrate, tier {tier}, as a job has it"
        self.daemon = None

    def open(self):
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.daemon = Lazy(self.folder, self.server.service, BUCKET, self.keys, self.tier)
        self.tree, self.pid = self.daemon.tree, self.daemon.process.pid

    def close(self):
        if self.daemon:
            self.daemon.close()
            self.daemon = None


class S3fs:
    name = "s3fs"

    def __init__(self, folder, server, options):
        self.folder, self.server, self.options, self.process = folder, server, options, None
        self.flags = "s3fs -o use_path_request_style," + ",".join(options)

    def open(self):
        self.close()
        self.tree = self.folder / "tree"
        self.tree.mkdir(parents=True, exist_ok=True)
        options = [f"url={self.server.endpoint}", f"endpoint={REGION}", "use_path_request_style", *self.options]
        self.process = subprocess.Popen(["s3fs", BUCKET, self.tree, "-f", "-o", ",".join(options)],
                                        env=self.server.environment(), stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        deadline = time.monotonic() + 20
        while not os.path.ismount(self.tree):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise OSError("s3fs did not mount")
            time.sleep(0.01)

    def close(self):
        if self.process:
            subprocess.run(["umount", self.tree], check=False, stderr=subprocess.DEVNULL)
            self.process.wait(20)
            self.process = None


def reads(mount, size, passes):
    """Contender that reads all of the tree, `passes` times. One pass is a first read, and its time begins
    before the daemon starts: Trainyard's fetches what nobody has asked for yet."""
    def daemons():
        return sum(cpu_of(pid) for pid in processes_below(mount.pid))

    def first():
        begin = time.monotonic()
        mount.open()
        opened = time.monotonic() - begin
        sample, _, _ = timed([sys.executable, READER, mount.tree, 1])
        sample.seconds, sample.cpu, sample.count = sample.seconds + opened, sample.cpu + daemons(), size
        return sample

    def again():
        before = daemons()
        sample, _, _ = timed([sys.executable, READER, mount.tree, passes])
        sample.cpu, sample.count = sample.cpu + daemons() - before, size * passes
        return sample
    return Contender(mount.name, mount.flags, *((first, mount.close) if passes == 1 else (again,)))


@workload("fastfile", "FastFile channel")
def fast_file(bench):
    size, count = bench.size(1 << 30, 32 << 20), 1
    source = make_source(bench, count, size)
    server = bench.trainyard("store")
    put_all(server, source, BUCKET)
    keys = [path.name for path in source.iterdir()]
    mounts = [Tier(bench.folder / tier, server, keys, tier) for tier in ("fanotify", "fuse")]
    if has("s3fs"):
        mounts.append(S3fs(bench.folder / "s3fs", server, ["parallel_count=8", "multipart_size=32", "kernel_cache"]))
    for mount in mounts:
        bench.stack.callback(mount.close)
    first = Table(f"First read of {size >> 20} MiB", "GB/s",
                  "One file, 256 KiB at a time, from the start of the daemon to the last byte; the daemon's CPU is "
                  "counted with the reader's.")
    bench.compare(first, [reads(mount, size, 1) for mount in mounts], servers=[server])
    bench.profile(first, reads(mounts[0], size, 1), ["trainyard", "python3", "hydrator"])
    second = Table("Every further read", "GB/s", f"The same file {AGAIN} times, present by now.")
    # The last round of the first table left all mounted, with all bytes present.
    bench.compare(second, [reads(mount, size, AGAIN) for mount in mounts if is_open(mount)], servers=[server])
    bench.profile(second, reads(mounts[0], size, AGAIN), ["trainyard", "python3", "hydrator"])
    for mount in mounts:
        mount.close()
    return [first, second]


def is_open(mount):
    return bool(getattr(mount, "daemon", None) or getattr(mount, "process", None))
