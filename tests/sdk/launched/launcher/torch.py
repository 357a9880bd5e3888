# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys

__version__ = "2.5.0"


def run():
    options = [argument for argument in sys.argv[1:] if argument.startswith("--n")]
    count = int(dict(option[2:].split("=") for option in options)["nproc_per_node"])
    workers = [subprocess.Popen([sys.executable, *sys.argv[1 + len(options):]], env=os.environ | {
        "RANK": str(rank), "WORLD_SIZE": str(count)}) for rank in range(count)]
    return max(worker.wait() for worker in workers)
