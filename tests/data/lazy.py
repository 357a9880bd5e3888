# SPDX-License-Identifier: Apache-2.0
"""`trainyard hydrate` as the agent starts it, over objects of a service."""
import json
import os
import pathlib
import signal
import subprocess
import time

from conftest import PROGRAM


def lazy_plan(folder, service, bucket, keys, tier, stall_seconds=30, endpoint=None):
    listed = {}
    for page in service.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket):
        listed |= {entry["Key"]: entry for entry in page.get("Contents", [])}
    return {
        "endpoint": endpoint or service.ready["endpoint"], "region": service.ready["region"],
        "access_key": service.ready["access_key"], "secret_key": service.ready["secret_key"],
        "session_token": "", "tree": str(folder / "tree"), "state": str(folder / "state"), "tier": tier,
        "stall_seconds": stall_seconds,
        "files": [{"path": key, "bucket": bucket, "key": key, "etag": listed[key]["ETag"],
                   "size": listed[key]["Size"]} for key in keys]}


class Lazy:
    """A daemon that shows objects as a tree of files."""

    def __init__(self, folder: pathlib.Path, service, bucket, keys, tier, before_start=lambda: None, wrapper=(),
                 **options):
        plan = lazy_plan(folder, service, bucket, keys, tier, **options)
        self.state, self.tree = folder / "state", folder / "tree"
        self.state.mkdir(parents=True)
        (self.state / "plan.json").write_text(json.dumps(plan))
        before_start()
        log = open(self.state / "log", "ab")
        self.process = subprocess.Popen([*wrapper, PROGRAM, "hydrate", self.state / "plan.json"],
                                        stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not (self.state / "ready").exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.state / "log").read_text()[-2000:])
            time.sleep(0.002)
        self.ready = json.loads((self.state / "ready").read_text())

    def hydrator(self):
        return json.loads((self.state / "hydrator").read_text())["pid"]

    def kill_hydrator(self):
        os.kill(self.hydrator(), signal.SIGKILL)

    def error(self):
        """The first failed read, or None."""
        file = self.state / "error"
        return json.loads(file.read_text()) if file.exists() else None

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)
