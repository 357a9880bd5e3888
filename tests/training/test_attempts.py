# SPDX-License-Identifier: Apache-2.0
"""Retries, spot interruptions and checkpoints: jobs that lose their instance and go on."""
import os
import pathlib
import signal
import subprocess
import time

import pytest
from conftest import PLAIN_ARGUMENTS, PROGRAM, Jobs

# Counts up to ten; each number is saved before it is printed, as training scripts save their state.
COUNTING = """
import os, sys, time
path = "/opt/ml/checkpoints/count"
count = int(open(path).read()) if os.path.exists(path) else 0
print("from", count)
while count < 10:
    count += 1
    with open(path + ".new", "w") as file: file.write(str(count))
    os.replace(path + ".new", path)
    print("count", count)
    while count == 5 and not os.path.exists("/opt/ml/checkpoints/go_on"):
        open("/opt/ml/checkpoints/go_on", "w").close()
        print("waiting")
        time.sleep(600)
"""
SPOT = {"EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900}}


def checkpoint(jobs, prefix="ckpt", path=None):
    return {"CheckpointConfig": {"S3Uri": f"s3://{jobs.bucket}/{prefix}"} | ({"LocalPath": path} if path else {})}


def processes(service, name, command):
    """Ids of `trainyard <command>` processes of the job."""
    found = []
    for folder in pathlib.Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if len(words) > 2 and words[1] == command.encode() and any(f"/{name}/".encode() in word for word in words):
            found.append(int(folder.name))
    return found


def wait_until(holds, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_checkpoint(jobs, count=b"5", prefix="ckpt"):
    """Until S3 has what the script saved before it waits."""
    def is_there():
        return f"{prefix}/go_on" in jobs.keys(f"{prefix}/") and jobs.s3.get_object(
            Bucket=jobs.bucket, Key=f"{prefix}/count")["Body"].read() == count
    wait_until(is_there)


def kill_supervisor(service, name):
    [supervisor] = processes(service, name, "supervise")
    os.kill(supervisor, signal.SIGKILL)


def trainyard(service, *arguments):
    return subprocess.run([PROGRAM, *arguments, "--data-dir", service.folder / "data"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_a_lost_instance_is_replaced_and_the_script_goes_on(service, jobs):
    name = jobs.start(COUNTING, RetryStrategy={"MaximumRetryAttempts": 1}, **checkpoint(jobs))
    jobs.wait_for_line(name, "waiting")
    wait_for_checkpoint(jobs)
    kill_supervisor(service, name)
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed"
    lines = jobs.lines(name)
    assert "from 0" in lines and "from 5" in lines and lines.count("count 5") == 1
    assert jobs.phases(name) == ["Starting", "Downloading", "Training", "Starting", "Downloading", "Training",
                                 "Uploading", "Completed"]
    assert "attempt   2" in trainyard(service, "describe", name).stdout
    body = jobs.s3.get_object(Bucket=jobs.bucket, Key="ckpt/count")["Body"].read()
    assert body == b"10" and jobs.keys("ckpt/") == ["ckpt/count", "ckpt/go_on"]


def test_without_a_retry_strategy_a_lost_instance_is_the_end(service, jobs):
    name = jobs.start(COUNTING, **checkpoint(jobs))
    jobs.wait_for_line(name, "waiting")
    wait_for_checkpoint(jobs)
    kill_supervisor(service, name)
    description = jobs.wait(name)
    assert description["FailureReason"].startswith("InternalServerError: ")
    assert "ModelArtifacts" not in description
    assert jobs.s3.get_object(Bucket=jobs.bucket, Key="ckpt/count")["Body"].read() == b"5"


def test_a_spot_interruption(service, jobs):
    name = jobs.start(COUNTING.replace("/opt/ml/checkpoints", "/data/state"), **SPOT,
                      **checkpoint(jobs, path="/data/state"))
    jobs.wait_for_line(name, "waiting")
    wait_for_checkpoint(jobs)
    assert trainyard(service, "interrupt", name).returncode == 0
    description = jobs.wait(name)
    assert description["TrainingJobStatus"] == "Completed"
    assert jobs.phases(name) == ["Starting", "Downloading", "Training", "Interrupted", "Starting", "Downloading",
                                 "Training", "Uploading", "Completed"]
    assert "from 5" in jobs.lines(name)
    assert description["BillableTimeInSeconds"] <= description["TrainingTimeInSeconds"]
    refused = trainyard(service, "interrupt", name)
    assert refused.returncode == 1 and "nothing to interrupt" in refused.stdout


def test_what_is_not_on_spot_is_not_interrupted(service, jobs):
    name = jobs.start("import time; print('up'); time.sleep(600)")
    jobs.wait_for_line(name, "up")
    refused = trainyard(service, "interrupt", name)
    assert refused.returncode == 1 and "EnableManagedSpotTraining" in refused.stdout
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    jobs.wait(name)


def test_a_spot_job_that_waits_too_long_is_stopped(own_service):
    service = own_service("--max-running-jobs", "1", *PLAIN_ARGUMENTS)
    jobs = Jobs(service)
    busy = jobs.start("import time; print('up'); time.sleep(600)")
    name = jobs.start("", **SPOT | {"StoppingCondition": {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1}})
    description = jobs.wait(name)
    assert (description["TrainingJobStatus"], description["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")
    jobs.sagemaker.stop_training_job(TrainingJobName=busy)
    jobs.wait(busy)


def test_the_runtime_of_all_attempts_counts(service, jobs):
    name = jobs.start("""
        import os, time
        path = "/opt/ml/checkpoints/n"
        attempt = int(open(path).read()) + 1 if os.path.exists(path) else 1
        open(path, "w").write(str(attempt))
        print("attempt", attempt)
        time.sleep(600)
        """, RetryStrategy={"MaximumRetryAttempts": 3}, StoppingCondition={"MaxRuntimeInSeconds": 4}, **checkpoint(jobs))
    jobs.wait_for_line(name, "attempt 1")
    training = jobs.describe(name)["TrainingStartTime"]
    wait_until(lambda: "ckpt/n" in jobs.keys("ckpt/"))
    kill_supervisor(service, name)
    description = jobs.wait(name)
    assert description["SecondaryStatus"] == "MaxRuntimeExceeded" and "attempt 2" in jobs.lines(name)
    steps = [step for step in description["SecondaryStatusTransitions"] if step["Status"] == "Training"]
    trained = sum((step["EndTime"] - step["StartTime"]).total_seconds() for step in steps)
    assert 3 <= trained < 9 and training <= steps[0]["StartTime"]


def test_checkpoints_are_restored_mirrored_and_only_whole(jobs):
    for key in ("old/a", "old/sub/b", "older/no"):
        jobs.s3.put_object(Bucket=jobs.bucket, Key=key, Body=key.encode())
    name = jobs.start("""
        import os, time
        root = "/opt/ml/checkpoints/"
        print(sorted(os.path.relpath(os.path.join(f, n), root) for f, _, names in os.walk(root) for n in names))
        os.remove(root + "a")
        os.symlink("/etc/passwd", root + "link")
        open(root + "empty", "w").close()
        half = open(root + "half", "w")
        half.write("not yet"); half.flush()
        print("written")
        while not os.path.exists(root + "../output/data/end"): time.sleep(0.01)
        """, **checkpoint(jobs, "old"))
    jobs.wait_for_line(name, "written")
    wait_until(lambda: jobs.keys("old/") == ["old/empty", "old/sub/b"])
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    assert jobs.wait(name)["TrainingJobStatus"] == "Stopped"
    assert "['a', 'sub/b']" in jobs.lines(name)
    assert jobs.keys("old/") == ["old/empty", "old/sub/b"], "what a killed script was writing is not whole"
    assert any("half was being written when the script was killed" in line for line in jobs.lines(name))
    assert jobs.keys("older/") == ["older/no"]


@pytest.mark.parametrize("path", ["/usr/x", "/", "/opt/ml", "/tmp", "/etc"])
def test_a_local_path_that_cannot_be_shown_is_told(jobs, path):
    description = jobs.run("", **checkpoint(jobs, path=path))
    assert description["FailureReason"].startswith("ClientError: CheckpointConfig.LocalPath")


def test_a_checkpoint_bucket_that_is_not_there(jobs):
    description = jobs.run("", CheckpointConfig={"S3Uri": "s3://no-such-bucket-here/x"})
    assert "ClientError: CheckpointConfig.S3Uri" in description["FailureReason"]
    assert "aws s3 mb s3://no-such-bucket-here" in description["FailureReason"]
