# SPDX-License-Identifier: Apache-2.0
"""What a workload gets and gives back. A workload is a function that takes a Bench and returns Tables."""
import contextlib
import os
import pathlib
import shutil
import time

import measuring
from servers import Minio, Nginx, Trainyard, Versitygw, has

REGISTRY = {}  # name: (title, function), in the order of the page


def workload(name, title):
    def register(function):
        REGISTRY[name] = (title, function)
        return function
    return register


class Table:
    """Rows that are compared with each other. `unit` says how rates are shown: GB/s, objects/s, requests/s, ms."""

    def __init__(self, title, unit, what):
        self.title, self.unit, self.what = title, unit, what
        self.rows, self.left_out, self.profiles, self.facts = [], {}, {}, {}

    def json(self):
        return {"title": self.title, "unit": self.unit, "what": self.what, "rows": self.rows,
                "left_out": self.left_out, "profiles": self.profiles, "facts": self.facts}


class Bench:
    """One run of the whole: where to work, how large, how often."""

    def __init__(self, folder, *, quick, say):
        self.folder, self.quick, self.say = folder, quick, say
        self.rounds = 3 if quick else 7
        self.stack = contextlib.ExitStack()
        self.tables = []

    def size(self, full, quick):
        return quick if self.quick else full

    def place(self, name):
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def trainyard(self, name, *arguments):
        """A server whose folder may hold its configuration already."""
        made = Trainyard(self.folder / name, *arguments)
        self.stack.callback(made.close)
        return made

    def peer(self, kind):
        """A server of `versitygw`, `minio`, or None where it is not installed."""
        if not has(kind):
            return None
        made = {"versitygw": Versitygw, "minio": Minio}[kind](self.place(kind))
        self.stack.callback(made.close)
        return made

    def nginx(self, data):
        made = Nginx(self.folder / "nginx", data) if has("nginx") else None
        if made:
            self.stack.callback(made.close)
        return made

    def compare(self, table, contenders, *, servers=(), per="GB", seconds=120):
        """Measures the contenders in turns and adds their rows to the table."""
        self.say(f"  {table.title}: {', '.join(one.name for one in contenders)}")
        measuring.warm(self.folder, self.size(2, 0.2))
        taken, failed = measuring.interleave(contenders, rounds=self.rounds, servers=servers, say=self.say,
                                             patience=self.size(0.3, 0.1), seconds=self.size(min(seconds, 20), 5))
        for one in contenders:
            if taken.get(one.name):
                table.rows.append(measuring.row(one, taken[one.name], per=per))
        table.left_out |= failed
        return table

    def profile(self, table, contender, programs):
        """Says where the CPU goes, in case that the table's target is missed."""
        if self.quick:
            return
        contender.prepare()
        found = measuring.profile(contender.run, self.folder, programs)
        if found:
            table.profiles[contender.name] = found


def run(name, bench):
    """The JSON of one workload. What it made is gone when this returns."""
    title, function = REGISTRY[name]
    empty(bench.folder)  # of a run that was killed
    watch = measuring.MemoryWatch()
    begin = time.monotonic()
    try:
        with bench.stack:
            tables = function(bench)
    finally:
        peaks = watch.close()
        empty(bench.folder)
    return {"name": name, "title": title, "tables": [table.json() for table in tables], "memory_mib": peaks,
            "seconds": time.monotonic() - begin, "date": time.strftime("%Y-%m-%d %H:%M"),
            "file_system": measuring.file_system(bench.folder)}


def empty(folder):
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)


def write_random(path: pathlib.Path, size):
    """Bytes that no compression shrinks and no two blocks share."""
    block = bytearray(os.urandom(min(size, 64 << 20)))
    with open(path, "wb") as file:
        for number in range(0, size, 64 << 20):
            block[:8] = number.to_bytes(8, "little")
            file.write(memoryview(block)[:min(len(block), size - number)])
