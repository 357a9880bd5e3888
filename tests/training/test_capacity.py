# SPDX-License-Identifier: Apache-2.0
"""What a host gives to jobs, by the sizes of their instance types."""
import json
import subprocess

import pytest
from conftest import PLAIN_ARGUMENTS, PROGRAM, Jobs

HOLD = """
    import pathlib, time
    print("runs", flush=True)
    time.sleep(600)
"""


def resources(kind, count=1):
    return {"InstanceType": kind, "InstanceCount": count, "VolumeSizeInGB": 1}


def test_a_job_waits_for_what_others_use_and_says_so(own_service):
    service = own_service("--max-running-jobs", "9", "--host-vcpus", "8", *PLAIN_ARGUMENTS)
    jobs = Jobs(service)
    first = jobs.start(HOLD, ResourceConfig=resources("ml.m5.large", 3))
    jobs.wait_for_line(first, "runs")
    waiting = jobs.start("print('had its turn')", ResourceConfig=resources("ml.c5.xlarge"))
    seen = jobs.wait(waiting, until=("Pending",), member="SecondaryStatus")
    assert seen["TrainingJobStatus"] == "InProgress"
    message = seen["SecondaryStatusTransitions"][-1]["StatusMessage"]
    assert message == "Waiting for capacity: it needs 4 vCPUs, 8 GiB, which others use now"
    # A smaller one fits beside the first and passes.
    small = jobs.start("print('small')", ResourceConfig=resources("ml.m5.large"))
    assert jobs.wait(small)["TrainingJobStatus"] == "Completed", jobs.lines(small)
    assert jobs.describe(waiting)["SecondaryStatus"] == "Pending"
    jobs.sagemaker.stop_training_job(TrainingJobName=first)
    assert jobs.wait(waiting)["TrainingJobStatus"] == "Completed", jobs.lines(waiting)
    assert jobs.phases(waiting) == ["Starting", "Pending", "Starting", "Downloading", "Training", "Uploading",
                                    "Completed"]


def test_a_job_that_is_larger_than_the_host_runs_alone(own_service):
    service = own_service("--max-running-jobs", "9", "--host-vcpus", "2", *PLAIN_ARGUMENTS)
    jobs = Jobs(service)
    name = jobs.start("print('runs')", ResourceConfig=resources("ml.m5.24xlarge", 2))
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)


def test_a_stop_reaches_a_pending_job(own_service):
    service = own_service("--max-running-jobs", "1", *PLAIN_ARGUMENTS)
    jobs = Jobs(service)
    first = jobs.start(HOLD)
    jobs.wait_for_line(first, "runs")
    waiting = jobs.start(HOLD)
    jobs.wait(waiting, until=("Pending",), member="SecondaryStatus")
    jobs.sagemaker.stop_training_job(TrainingJobName=waiting)
    assert jobs.wait(waiting)["TrainingJobStatus"] == "Stopped"


def test_each_instance_is_told_its_own_gpus(own_service):
    service = own_service("--host-gpus", "3", *PLAIN_ARGUMENTS)
    jobs = Jobs(service)
    show = """
        import json, os
        print(json.dumps({name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "SM_NUM_GPUS")}))
    """
    name = jobs.start(show, ResourceConfig=resources("ml.g5.xlarge", 2))
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    seen = [json.loads(line) for line in jobs.lines(name) if line.startswith("{")]
    assert sorted(one["CUDA_VISIBLE_DEVICES"] for one in seen) == ["0", "1"]
    assert {one["SM_NUM_GPUS"] for one in seen} == {"1"}
    without = jobs.start(show)
    assert jobs.wait(without)["TrainingJobStatus"] == "Completed", jobs.lines(without)
    assert '{"CUDA_VISIBLE_DEVICES": "", "SM_NUM_GPUS": "0"}' in jobs.lines(without)


@pytest.mark.parametrize("text, wrong", [
    ('["ml.x"]\nvcpus = -1', "vcpus is a number that is not negative"),
    ('["ml.x"]\ncores = 1', "'cores' is no member"),
    ('["p3"]\nvcpus = 1', 'begin with "ml."'),
    ('vcpus = 1', "it is no table"), ('[', "instance-types.toml")])
def test_a_file_of_types_that_is_wrong_is_told_with_its_place(tmp_path, text, wrong):

    file = tmp_path / "instance-types.toml"
    file.write_text(text)
    ended = subprocess.run([PROGRAM, "serve", "--listen", "127.0.0.1:0", "--data-dir", tmp_path / "data",
                            "--instance-types", file], capture_output=True, text=True, timeout=30)
    assert ended.returncode != 0
    assert wrong in ended.stderr, ended.stderr
