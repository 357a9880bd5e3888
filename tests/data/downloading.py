# SPDX-License-Identifier: Apache-2.0
"""Runs `download_probe`, which is fetch_all() of src/transfer/fetch.hpp as a program."""
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROBE = pathlib.Path(os.environ.get("TRAINYARD", ROOT / "build/release/trainyard")).parent / "download_probe"
LIMIT_SECONDS = 60  # nothing may hang
ALWAYS = {}  # options of all requests


def request(server, folder, files=None, **options):
    """`server` is a LyingServer; all of its objects unless `files` says which."""
    if files is None:
        files = [{"key": key, "size": len(data), "etag": server.etag(key)} for key, data in
                 ((path.removeprefix("/bucket/"), data) for path, data in server.objects.items())]
    return {"endpoint": server.endpoint, "region": "us-west-2", "access_key": "AKIDEXAMPLE", "secret_key": "secret",
            "bucket": "bucket", "folder": str(folder), "files": files, "pause_ms": 1, "stall_ms": 5000} | ALWAYS | options


def start(document, **options):
    probe = subprocess.Popen([PROBE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)
    probe.stdin.write(json.dumps(document))
    probe.stdin.close()
    probe.stdin = None
    return probe


def fetch(*arguments, environment=None, **options):
    probe = start(request(*arguments, **options), env=os.environ | (environment or {}))
    output, _ = probe.communicate(timeout=LIMIT_SECONDS)
    assert probe.returncode == 0, probe.returncode
    return json.loads(output)


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
