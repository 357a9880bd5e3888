# SPDX-License-Identifier: Apache-2.0
"""What the page says of the machine and of the programs that were measured."""
import os
import pathlib
import re
import subprocess

from measuring import file_system
from servers import PEERS, PROGRAM, ROOT

VERSIONS = {
    "s5cmd": [PEERS / "python/bin/s5cmd", "version"], "rclone": ["rclone", "version"], "s3fs": ["s3fs", "--version"],
    "AWS CLI": [PEERS / "python/bin/aws", "--version"], "pigz": ["pigz", "--version"], "gzip": ["gzip", "--version"],
    "boto3": [PEERS / "python/bin/python", "-c", "import boto3; print(boto3.__version__)"],
    "awscrt": [PEERS / "python/bin/python", "-c", "import awscrt; print(awscrt.__version__)"],
    "nginx": [PEERS / "root/usr/sbin/nginx", "-v"], "versitygw": ["go", "version", "-m", PEERS / "bin/versitygw"],
    "MinIO": ["go", "version", "-m", PEERS / "bin/minio"]}


def version(command):
    """The first thing on its output that looks like one, or None where the program is not there."""
    if "/" in str(command[-1]) and not pathlib.Path(command[-1]).exists():
        return None
    try:
        answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout
    except OSError:
        return None
    answer = answer.split("\tmod\t")[-1]  # of a Go program: the module's, not the compiler's
    found = re.search(r"v?\d+\.\d+[\w.+-]*", answer)
    return found.group(0).removeprefix("v") if found else None


def facts(folder):
    cpu = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", cpu)
    memory = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) / 1024 / 1024
    system = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text())
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], stdout=subprocess.PIPE, text=True,
                            check=False).stdout.strip()
    folder.mkdir(parents=True, exist_ok=True)
    return {"cpu": model.group(1) if model else "unknown", "cores": os.cpu_count(), "memory_gib": round(memory),
            "kernel": os.uname().release, "system": system.group(1) if system else "unknown",
            "file_system": file_system(folder), "commit": commit or "unknown", "program": PROGRAM.name,
            "versions": {name: version(command) for name, command in VERSIONS.items()}}
