# SPDX-License-Identifier: Apache-2.0
"""Runs launch programs as their authors would, but under `trainyard exec`."""
import os
import pathlib
import subprocess

from conftest import PROGRAM

FOLDER = pathlib.Path(__file__).resolve().parent


def launch_all(service, tmp_path_factory, commands, **variables):
    """Starts all of them at once; {name: what it printed}."""
    home = tmp_path_factory.mktemp("home")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAGEMAKER_"))}
    environment |= {"HOME": str(home), "SAGEMAKER_SUPPRESS_V2_WARNING": "1", "XDG_CONFIG_HOME": str(home)} | variables
    running = {name: subprocess.Popen(
        [PROGRAM, "exec", "--data-dir", service.folder / "data", "--", *command], cwd=FOLDER, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for name, command in commands.items()}
    try:
        outputs = {name: process.communicate(timeout=300)[0] for name, process in running.items()}
    finally:
        for process in running.values():
            process.kill()
    failed = {name: outputs[name][-3000:] for name, process in running.items() if process.returncode}
    assert not failed, "\n".join(f"--- {name}\n{text}" for name, text in failed.items())
    return outputs
