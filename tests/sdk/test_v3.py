# SPDX-License-Identifier: Apache-2.0
"""SDK v3 programs (ModelTrainer) that know nothing of Trainyard, run under `trainyard exec`."""
import json
import re

import pytest
from conftest import PLAIN, ROOT, Jobs
from launching import launch_all

PYTHON = ROOT / "build/client-v3/bin/python"
PROGRAMS = ("script", "command", "torchrun", "mpi")


@pytest.fixture(scope="module")
def outputs(sdk_service, tmp_path_factory):
    return launch_all(sdk_service, tmp_path_factory, {
        name: (PYTHON, ROOT / f"tests/sdk/v3/{name}.py", PLAIN) for name in PROGRAMS})


@pytest.fixture
def said(outputs):
    def find(program, label):
        found = re.findall(rf"^{label}: (.*)$", outputs[program], re.M)
        assert found, outputs[program][-4000:]
        return found[-1]
    return find


@pytest.fixture
def v3_jobs(sdk_service):
    return Jobs(sdk_service)


def test_a_script_with_requirements_trains_on_local_data(said, v3_jobs):
    name = said("script", "job")
    assert said("script", "status") == "Completed"
    assert said("script", "role") == "arn:aws:iam::123456789012:role/TrainyardExecutionRole"
    assert said("script", "model").endswith(f"/{name}/output/model.tar.gz")
    lines = v3_jobs.lines(name)
    seen = json.loads([line for line in lines if line.startswith("seen ")][0][5:])
    assert seen["arguments"] == ["--epochs", "3", "--name", "a b", "--layers", "[1, 2]"]
    assert seen["variables"]["TEAM_NAME"] == "blue sky"
    assert {"code", "sm_drivers", "train"} == set(seen["channels"])
    assert any("six" in line for line in lines)
    description = v3_jobs.describe(name)
    assert description["AlgorithmSpecification"]["ContainerEntrypoint"] == ["/bin/bash"]
    assert description["StoppingCondition"]["MaxRuntimeInSeconds"] == 900


def test_a_command_runs_and_may_write_into_its_channel(said, v3_jobs):
    assert said("command", "status") == "Completed"
    assert "shell got: --quoted a b" in v3_jobs.lines(said("command", "job"))


def test_torchrun_starts_its_processes(said, v3_jobs):
    assert said("torchrun", "status") == "Completed"
    lines = v3_jobs.lines(said("torchrun", "job"))
    for rank in (0, 1):
        assert f"worker {rank} of 2 ['--epochs', '5']" in lines


def test_mpi_in_an_image_without_mpi_says_what_is_missing(said, v3_jobs):
    """A driver's failure is told in the job's log; its FailureReason points there."""
    name = said("mpi", "job")
    assert said("mpi", "error").startswith("FailedStatusError")
    assert "ModuleNotFoundError: No module named 'paramiko'" in v3_jobs.lines(name)
    assert v3_jobs.describe(name)["FailureReason"].startswith("AlgorithmError: ")
