# SPDX-License-Identifier: Apache-2.0
"""Distributed training as the SDK asks for it, with the real TensorFlow, Open MPI and PyTorch."""
import json
import os
import re
import signal
import subprocess
import time

import pytest
from conftest import TENSORFLOW_ARGUMENTS, Jobs, Service
from distributed import (ALLREDUCE, BETWEEN_GRAPH, DDP, MIRRORED, ONE_RANK_FAILS, RANKS_THAT_WAIT, STRATEGY)
from test_instances import processes_of, resources, streams_of, wait_for_lines

TENSORFLOW = "1.dkr.ecr.us-west-2.amazonaws.com/tensorflow-training:2.19-cpu-py312"
# Debian's: python3-torch, python3-mpi4py.
PYTORCH, PYTHON = "pytorch:distribution", "python:distribution"


@pytest.fixture(scope="module")
def gangs(tmp_path_factory):
    service = Service(tmp_path_factory.mktemp("gangs"), *TENSORFLOW_ARGUMENTS)
    yield service
    assert service.close() == 0


def start(service, image, script, count, hyperparameters, **more):
    jobs = Jobs(service, image)
    return jobs, jobs.start(script, ResourceConfig=resources(count), hyperparameters=hyperparameters, **more)


def completed(service, image, script, count, **hyperparameters):
    jobs, name = start(service, image, script, count, hyperparameters)
    done = jobs.wait(name, seconds=180)
    assert done["TrainingJobStatus"] == "Completed", (done["FailureReason"], jobs.lines(name))
    return jobs, name


@pytest.mark.parametrize("script, model", [(BETWEEN_GRAPH, {"total": b"20.0"}), (STRATEGY, {"weights": b"trained"})],
                         ids=["between-graph", "ParameterServerStrategy"])
def test_parameter_servers_run_beside_the_script_of_each_host(gangs, script, model):
    jobs, name = completed(gangs, TENSORFLOW, script, 2, sagemaker_parameter_server_enabled=True)
    assert jobs.archive(name) == model
    lines = jobs.lines(name)
    assert streams_of(jobs, name) == ["algo-1", "algo-2"]
    assert any(line.startswith("The script has ended; its parameter server goes on until algo-1:2222") for line in lines)
    said = " ".join(lines)
    assert "/job:ps/replica:0/task:0" in said and "/job:ps/replica:0/task:1" in said or "/job:ps/task:1" in said, lines


def losses(lines):
    return re.findall(r"epoch \d: loss (\S+)", "\n".join(lines))


def test_mirrored_workers_have_the_losses_of_one(gangs):
    alone, name = completed(gangs, TENSORFLOW, MIRRORED, 1, sagemaker_multi_worker_mirrored_strategy_enabled=True)
    expected = losses(alone.lines(name))
    assert len(expected) == 5 and float(expected[-1]) < 0.5 * float(expected[0])
    jobs, name = completed(gangs, TENSORFLOW, MIRRORED, 2, sagemaker_multi_worker_mirrored_strategy_enabled=True)
    lines = jobs.lines(name)
    assert "algo-1 is worker 0 of 2" in lines and "algo-2 is worker 1 of 2" in lines
    seen = losses(lines)
    assert seen == expected * 2 or [float(one) for one in seen] == pytest.approx([float(one) for one in expected * 2], rel=1e-3)
    assert seen[:5] == seen[5:], "the workers of one job see one loss"
    assert set(jobs.archive(name)) == {"weights.npy"}


MPI_ON = {"sagemaker_mpi_enabled": True, "rate": 0.5}


@pytest.mark.parametrize("count", [1, 2])
def test_mpirun_runs_ranks_on_every_instance(gangs, count):
    jobs, name = completed(gangs, PYTHON, ALLREDUCE, count, sagemaker_mpi_num_of_processes_per_host=2, **MPI_ON)
    size = 2 * count
    total = size * (size + 1) // 2
    assert jobs.archive(name) == {"total": str(total).encode()}
    lines = jobs.lines(name)
    for rank in range(size):
        host = f"algo-{rank // 2 + 1}"
        assert f"[1,mpirank:{rank},{host}]<stdout>:rank {rank} of {size} on {host} total {total} rate 0.5" in lines, lines
    assert any(re.match(r"mpirun --host algo-1:2.* -m mpi4py train.py --rate 0.5$", line) for line in lines)


def test_a_rank_that_fails_ends_all_and_its_error_is_the_jobs(gangs):
    jobs, name = start(gangs, PYTHON, ONE_RANK_FAILS, 2, MPI_ON)
    done = jobs.wait(name, seconds=60)
    assert done["TrainingJobStatus"] == "Failed", jobs.lines(name)
    reason = done["FailureReason"]
    assert reason.startswith("AlgorithmError: ExecuteUserScriptError:"), reason
    assert "ValueError: rank 1 has no luck" in reason, reason


def test_a_stop_reaches_each_rank_once_and_gives_it_its_time(gangs):
    jobs, name = start(gangs, PYTHON, RANKS_THAT_WAIT, 2, MPI_ON)
    wait_for_lines(jobs, name, "[1,mpirank:1,algo-2]<stdout>:runs", 1)
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    done = jobs.wait(name, seconds=60)
    assert done["TrainingJobStatus"] == "Stopped", (done, jobs.lines(name))
    assert jobs.archive(name) == {"rank-0": b"x!", "rank-1": b"x!"}, jobs.lines(name)


@pytest.mark.parametrize("victim, other", [("algo-2", "algo-1"), ("algo-1", "algo-2")])
def test_mpi_does_not_hang_where_an_instance_is_killed(own_service, victim, other):
    service = own_service(*TENSORFLOW_ARGUMENTS)
    jobs, name = start(service, PYTHON, RANKS_THAT_WAIT, 2, MPI_ON)
    wait_for_lines(jobs, name, "[1,mpirank:1,algo-2]<stdout>:runs", 1)
    for pid in processes_of(service, name, victim):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    done = jobs.wait(name, seconds=30)
    assert done["TrainingJobStatus"] == "Failed"
    assert f"{victim} was the first of 2 instances to fail" in done["FailureReason"], done["FailureReason"]
    deadline = time.monotonic() + 30
    while processes_of(service, name):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("count", [1, 2])
def test_torchrun_trains_with_ddp_over_gloo(gangs, count):
    jobs, name = completed(gangs, PYTORCH, DDP, count, sagemaker_torch_distributed_enabled=True,
                           sagemaker_mpi_num_of_processes_per_host=2 // count)
    found = re.findall(r"rank (\d) of 2 on (algo-\d) weights (.*)", "\n".join(jobs.lines(name)))
    assert {(rank, host) for rank, host, _ in found} == {("0", "algo-1"), ("1", f"algo-{count}")}, jobs.lines(name)
    assert len({weights for _, _, weights in found}) == 1, "both ranks have one model"
    assert set(jobs.archive(name)) == {"model.pt"}


def test_without_its_package_an_environment_is_refused_in_words(own_service, tmp_path):
    (tmp_path / "environments.toml").write_text("""
        [[environment]]
        framework = "ours"
        version = "1"
        distribution = true
        modules = { no_such_module = "python3-no-such-module" }
    """)
    jobs = Jobs(own_service("--environments", tmp_path / "environments.toml"), "ours:1")
    done = jobs.run("print('never')")
    assert done["TrainingJobStatus"] == "Failed"
    assert done["FailureReason"].startswith("ClientError: The environment ours-1 cannot be used: /usr/bin/python3 has no "
                                            "no_such_module: apt-get install python3-no-such-module"), done


def test_a_team_brings_its_own_virtual_environment(own_service, tmp_path):
    folder = tmp_path / "envs/ours"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", folder], check=True)
    next(folder.glob("lib/python3*/site-packages")).joinpath("ours.py").write_text("VERSION = 7\n")
    (tmp_path / "environments.toml").write_text(f"""
        [[environment]]
        framework = "ours"
        version = "7"
        repositories = ["our-training"]
        path = {json.dumps(str(folder))}
        modules = ["ours"]
    """)
    service = own_service("--environments", tmp_path / "environments.toml")
    jobs = Jobs(service, "1.dkr.ecr.us-west-2.amazonaws.com/our-training:7-cpu-py3")
    name = jobs.start("""
        import ours, sys
        print("version", ours.VERSION, sys.prefix.endswith("/layer"))
        try:
            open(ours.__file__, "a")
        except OSError:
            print("read-only")
    """)
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert "version 7 True" in jobs.lines(name)
    assert "read-only" in jobs.lines(name) or not service.has_walls
