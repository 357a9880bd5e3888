# SPDX-License-Identifier: Apache-2.0
"""Queues, stops, and a server that is killed in the middle of it all."""
import json
import os
import pathlib
import shutil
import signal
import time

import pytest
from botocore.exceptions import ClientError
from conftest import PLAIN_ARGUMENTS, Jobs

WAIT = """
    import signal, sys, time
    def leave(*_):
        open("/opt/ml/model/last", "w").write("saved")
        sys.exit(0)
    signal.signal(signal.SIGTERM, leave)
    print("ready")
    time.sleep(1000)
"""


def test_a_stop_while_training_keeps_the_model(jobs):
    name = jobs.start(WAIT)
    jobs.wait_for_line(name, "ready")
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    done = jobs.wait(name)
    assert (done["TrainingJobStatus"], done["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert jobs.phases(name) == ["Starting", "Downloading", "Training", "Stopping", "Uploading", "Stopped"]
    assert jobs.archive(name) == {"last": b"saved"}
    assert "FailureReason" not in done
    with pytest.raises(ClientError, match="is in status Stopped"):
        jobs.sagemaker.stop_training_job(TrainingJobName=name)


def test_a_script_that_ignores_sigterm_is_killed_after_the_grace(own_service):
    jobs = Jobs(own_service("--stop-grace-seconds", "1", *PLAIN_ARGUMENTS))
    name = jobs.start("""
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open("/opt/ml/model/last", "w").write("kept")
        print("ready")
        time.sleep(1000)
    """)
    jobs.wait_for_line(name, "ready")
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    assert jobs.wait(name)["SecondaryStatus"] == "Stopped"
    assert "The script did not end within 1 s of SIGTERM: SIGKILL." in jobs.lines(name)
    assert jobs.archive(name) == {"last": b"kept"}


def test_a_queued_job_is_stopped_at_once(jobs):
    if not jobs.service.has_walls:
        pytest.skip("without walls jobs take turns at /opt/ml")
    running = [jobs.start(WAIT) for _ in range(2)]
    for name in running:
        jobs.wait_for_line(name, "ready")
    queued = jobs.start("print('never')")
    jobs.sagemaker.stop_training_job(TrainingJobName=queued)
    assert jobs.wait(queued)["SecondaryStatus"] == "Stopped"
    # Pending, when the scheduler saw it before the stop came.
    assert [phase for phase in jobs.phases(queued) if phase != "Pending"] == ["Starting", "Stopping", "Stopped"]
    for name in running:
        jobs.sagemaker.stop_training_job(TrainingJobName=name)
    for name in running:
        jobs.wait(name)


def test_a_stop_while_downloading_leaves_no_artifacts(jobs):
    # Set-up code of the job's own package runs in Downloading: here until it is stopped.
    name = jobs.start("print('never')", files={"setup.py": "import time\ntime.sleep(1000)\n"})
    jobs.wait(name, until=("Downloading",), member="SecondaryStatus")
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    done = jobs.wait(name)
    assert done["TrainingJobStatus"] == "Stopped"
    assert jobs.phases(name) == ["Starting", "Downloading", "Stopping", "Stopped"]
    assert jobs.keys(f"out/{name}/") == [] and "never" not in jobs.lines(name)


def test_a_stop_while_uploading_finishes_the_upload(jobs):
    name = jobs.start("""
        import os
        with open("/opt/ml/model/big", "wb") as file:
            for _ in range(300):
                file.write(os.urandom(1 << 20))
    """)
    jobs.wait(name, until=("Uploading", "Completed"), member="SecondaryStatus")
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    done = jobs.wait(name)
    assert done["TrainingJobStatus"] == "Stopped"
    assert jobs.phases(name)[-3:] == ["Uploading", "Stopping", "Stopped"]
    assert len(jobs.archive(name)["big"]) == 300 << 20


def test_twenty_queued_jobs_finish_two_at_a_time(jobs):
    names = [jobs.start(f"print('job {i}')") for i in range(20)]
    for i, name in enumerate(names):
        assert jobs.wait(name)["TrainingJobStatus"] == "Completed"
        assert f"job {i}" in jobs.lines(name)
    intervals = []
    for name in names:
        done = jobs.describe(name)
        intervals.append((done["TrainingStartTime"], done["TrainingEndTime"]))
    for start, _ in intervals:
        assert sum(a <= start < b for a, b in intervals) <= 2


def test_a_killed_server_finds_its_jobs_again(own_service):
    service = own_service(*PLAIN_ARGUMENTS)
    jobs = Jobs(service)
    name = jobs.start("""
        import time
        for i in range(300):
            print("line", i)
            time.sleep(0.01)
        open("/opt/ml/model/m", "w").write("x")
    """)
    for at in ("line 20", "line 120"):
        jobs.wait_for_line(name, at)
        service.kill(signal.SIGKILL)
        service.start()
    done = jobs.wait(name)
    assert done["TrainingJobStatus"] == "Completed", done
    numbers = [line for line in jobs.lines(name) if line.startswith("line ")]
    assert numbers == [f"line {i}" for i in range(300)]
    assert jobs.phases(name) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert jobs.archive(name) == {"m": b"x"}


def test_a_job_that_ends_while_the_server_is_away_is_told_afterwards(own_service):
    service = own_service(*PLAIN_ARGUMENTS)
    jobs = Jobs(service)
    name = jobs.start("import time; print('ready'); time.sleep(0.5); print('done')")
    jobs.wait_for_line(name, "ready")
    service.kill(signal.SIGKILL)
    folder = service.folder / "data" / "jobs" / name / "1" / "algo-1"
    deadline = time.monotonic() + 30
    while not (folder / "run.exit").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    service.start()
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed"
    assert jobs.lines(name).count("done") == 1


def test_a_killed_agent_is_replaced_and_the_script_runs_on(own_service):
    service = own_service(*PLAIN_ARGUMENTS)
    jobs = Jobs(service)
    name = jobs.start("""
        import time
        for i in range(200):
            print("line", i)
            time.sleep(0.01)
    """)
    jobs.wait_for_line(name, "line 10")
    agent = service.folder / "data" / "jobs" / name / "1" / "algo-1" / "agent.json"
    os.kill(json.loads(agent.read_text())["pid"], signal.SIGKILL)
    done = jobs.wait(name)
    assert done["TrainingJobStatus"] == "Completed", done
    assert [l for l in jobs.lines(name) if l.startswith("line ")] == [f"line {i}" for i in range(200)]


def test_a_job_outlives_its_killed_agent_without_walls(own_service):
    """Its lease of /opt/ml is held by the supervisor: the next job waits for the script, not the agent."""
    service = own_service("--isolation", "process", *PLAIN_ARGUMENTS)
    jobs = Jobs(service)
    script = """
        import os, time
        mine = os.environ["TRAINING_JOB_NAME"]
        print("ready")
        for _ in range(100):
            assert mine in os.path.realpath(os.environ["SAGEMAKER_BASE_DIR"])
            time.sleep(0.01)
    """
    first = jobs.start(script)
    jobs.wait_for_line(first, "ready")
    agent = service.folder / "data" / "jobs" / first / "1" / "algo-1" / "agent.json"
    os.kill(json.loads(agent.read_text())["pid"], signal.SIGKILL)
    second = jobs.start(script)
    for name in (first, second):
        assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert not os.path.islink("/opt/ml"), "given back"


def test_agents_end_when_the_services_data_is_gone(own_service):
    service = own_service(*PLAIN_ARGUMENTS)
    jobs = Jobs(service)
    name = jobs.start("import time; print('ready'); time.sleep(1)")
    jobs.wait_for_line(name, "ready")
    agent = json.loads((service.folder / "data/jobs" / name / "1/algo-1/agent.json").read_text())["pid"]
    service.kill(signal.SIGKILL)
    shutil.rmtree(service.folder / "data")
    deadline = time.monotonic() + 60
    while pathlib.Path(f"/proc/{agent}/cmdline").exists() and \
            pathlib.Path(f"/proc/{agent}/cmdline").read_bytes():
        assert time.monotonic() < deadline, "the agent still waits for a service that is gone"
        time.sleep(0.02)
    service.start()


def test_jobs_and_objects_survive_a_restart(own_service):
    service = own_service(*PLAIN_ARGUMENTS)
    jobs = Jobs(service)
    name = jobs.start("print('once')")
    before = jobs.wait(name)
    service.kill(signal.SIGKILL)
    service.start()
    after = jobs.describe(name)
    for description in (before, after):
        description.pop("ResponseMetadata")
    assert before == after
    assert jobs.lines(name).count("once") == 1
    assert jobs.archive(name) == {}
