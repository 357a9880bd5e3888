# SPDX-License-Identifier: Apache-2.0
"""Jobs in containers of a real Docker daemon, with images that were made for SageMaker and not for us."""
import base64
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import time

import docker_daemon
import pytest
from conftest import PLAIN, PLAIN_ARGUMENTS, PROGRAM, ROOT, Jobs, Service

WHY_NOT = docker_daemon.obstacle()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))

STATIC_TRAIN = r"""
#include <stdio.h>
#include <string.h>
int main(int count, char** words) {
  printf("started with %s\n", count == 2 ? words[1] : "something else");
  FILE* config = fopen("/opt/ml/input/config/hyperparameters.json", "r");
  FILE* model = fopen("/opt/ml/model/weights", "w");
  if (config == NULL || model == NULL) return 3;
  fputs("static", model);
  return fclose(model);
}
"""

TOOLKIT_SCRIPT = """
    import json, os, pathlib, socket
    import boto3
    host, hosts = os.environ["SM_CURRENT_HOST"], json.loads(os.environ["SM_HOSTS"])
    mine = sorted(path.name for path in pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]).iterdir())
    print(host, "is", socket.gethostname(), "and has", len(mine), flush=True)
    for other in hosts:
        print("address of", other, "known:", bool(socket.gethostbyname(other)), flush=True)
    boto3.client("s3").list_objects_v2(Bucket=os.environ["BUCKET"])
    folder = pathlib.Path(os.environ["SM_MODEL_DIR"], host)
    folder.mkdir()
    for name in mine:
        (folder / name).write_text(os.environ["SM_HP_RATE"])
"""


@pytest.fixture(scope="module")
def daemon():
    network = docker_daemon.OwnNetwork()
    # Sockets have short names only.
    made = docker_daemon.Daemon(pathlib.Path(tempfile.mkdtemp(prefix="trainyard-docker-")))
    try:
        archive = made.folder / "image.tar"
        docker_daemon.busybox_root(archive)
        made.load("busy:1", archive)
        made.load("busy:nobody", archive, "USER 4242")
        docker_daemon.scratch_root(archive, STATIC_TRAIN, made.folder)
        made.load("static:1", archive, 'ENTRYPOINT ["/train"]')
        docker_daemon.toolkit_root(archive, ROOT / "build/toolkit")
        made.load("toolkit:1", archive, "ENV PATH=/usr/local/bin:/usr/bin:/bin", "ENV PYTHONUNBUFFERED=1")
        archive.unlink()
        yield made
    finally:
        made.close()
        network.leave()


@pytest.fixture(scope="module")
def docker_service(daemon, tmp_path_factory):
    made = Service(tmp_path_factory.mktemp("docker"), "--docker", daemon.url, "--max-running-jobs", "8",
                   "--stop-grace-seconds", "20", *PLAIN_ARGUMENTS)
    yield made
    assert made.close() == 0
    assert daemon.labelled() == []


@pytest.fixture
def jobs(docker_service):
    return Jobs(docker_service, "busy:1")


def start(jobs, script, image="busy:1", **request):
    """A job whose image runs this shell script."""
    environment = {"SCRIPT": script} | request.pop("Environment", {})
    return jobs.start(None, Environment=environment, AlgorithmSpecification={
        "TrainingImage": image, "TrainingInputMode": "File"}, **request)


def run(jobs, script, **request):
    name = start(jobs, script, **request)
    return name, jobs.wait(name)


def resources(count):
    return {"InstanceType": "ml.m5.large", "VolumeSizeInGB": 1, "InstanceCount": count}


def channel(name, uri, mode="File"):
    return {"ChannelName": name, "InputMode": mode,
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}


def agent_of(service, name, host="algo-1"):
    return json.loads((service.folder / f"data/containers/{name}/1/{host}/agent.json").read_text())["pid"]


def test_a_static_binary_alone_is_an_image(jobs):
    name = jobs.start(None, AlgorithmSpecification={"TrainingImage": "static:1", "TrainingInputMode": "File"})
    done = jobs.wait(name)
    assert done["TrainingJobStatus"] == "Completed", (done, jobs.lines(name))
    assert "started with train" in jobs.lines(name)
    assert jobs.archive(name) == {"weights": b"static"}


@pytest.mark.parametrize("count", [1, 2])
def test_an_image_with_the_toolkit_runs_as_it_is(jobs, count):
    for number in range(6):
        jobs.s3.put_object(Bucket=jobs.bucket, Key=f"data/part-{number}", Body=b"x")
    data = channel("train", f"s3://{jobs.bucket}/data/")
    data["DataSource"]["S3DataSource"]["S3DataDistributionType"] = "ShardedByS3Key"
    jobs.image = "toolkit:1"
    name = jobs.start(TOOLKIT_SCRIPT, hyperparameters={"rate": 0.5}, InputDataConfig=[data],
                      ResourceConfig=resources(count), Environment={"BUCKET": jobs.bucket})
    done = jobs.wait(name)
    lines = jobs.lines(name)
    assert done["TrainingJobStatus"] == "Completed", (done["FailureReason"], lines)
    for number in range(1, count + 1):
        assert f"algo-{number} is algo-{number} and has {6 // count}" in lines
        assert lines.count(f"address of algo-{number} known: True") == count
    model = jobs.archive(name)
    assert sorted(path.split("/")[1] for path in model) == [f"part-{number}" for number in range(6)]
    assert set(model.values()) == {b"0.5"}
    assert any("Reporting training SUCCESS" in line for line in lines)


def test_the_failure_of_the_toolkits_script_is_told(jobs):
    jobs.image = "toolkit:1"
    done = jobs.run("raise ValueError('bad rate')")
    assert done["TrainingJobStatus"] == "Failed"
    assert done["FailureReason"].startswith("AlgorithmError: ExecuteUserScriptError")
    assert 'train.py"' in done["FailureReason"]
    assert done["FailureReason"].endswith("exit code: 1")


def test_entrypoint_and_arguments_replace_the_images_own(jobs):
    name = jobs.start(None, AlgorithmSpecification={
        "TrainingImage": "static:1", "TrainingInputMode": "File", "ContainerArguments": ["other"]})
    jobs.wait(name)
    assert "started with other" in jobs.lines(name)
    name = jobs.start(None, AlgorithmSpecification={
        "TrainingImage": "busy:1", "TrainingInputMode": "File", "ContainerEntrypoint": ["/bin/sh", "-c"],
        "ContainerArguments": ["echo $0 $TRAINING_JOB_NAME; cat /opt/ml/code/of-the-image"]})
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed"
    assert f"/bin/sh {name}" in jobs.lines(name) and "here" in jobs.lines(name)


@pytest.mark.parametrize("image", ["busy:1", "busy:nobody"])
def test_channels_are_writable_and_the_store_is_not_harmed(jobs, image):
    jobs.s3.put_object(Bucket=jobs.bucket, Key="data/a", Body=b"original")
    name, done = run(jobs, """
        cat $D/file/a; echo; cat $D/fast/a; echo
        echo changed > $D/file/a && cat $D/file/a; echo new > $D/file/b && ls $D/file
        echo no > $D/fast/a || echo fast is read-only
        echo model > /opt/ml/model/m; echo data > /opt/ml/output/data/d; id -u""", image=image,
        Environment={"D": "/opt/ml/input/data"}, InputDataConfig=[
            channel("file", f"s3://{jobs.bucket}/data/"), channel("fast", f"s3://{jobs.bucket}/data/", "FastFile")])
    lines = jobs.lines(name)
    assert done["TrainingJobStatus"] == "Completed", "\n".join(lines)
    assert lines.count("original") == 2 and "fast is read-only" in lines and "b" in lines
    assert ("changed" in lines) == (image == "busy:1")  # files are root's, as on AWS
    assert jobs.archive(name) == {"m": b"model\n"}
    assert jobs.archive(name, "output.tar.gz") == {"d": b"data\n"}
    assert jobs.s3.get_object(Bucket=jobs.bucket, Key="data/a")["Body"].read() == b"original"
    again, _ = run(jobs, "cat /opt/ml/input/data/file/a", InputDataConfig=[
        channel("file", f"s3://{jobs.bucket}/data/")])
    assert "original" in jobs.lines(again)


def test_a_pipe_is_read_and_checkpoints_are_kept(jobs):
    jobs.s3.put_object(Bucket=jobs.bucket, Key="data/a", Body=b"streamed\n")
    jobs.s3.put_object(Bucket=jobs.bucket, Key="ckpt/before", Body=b"kept\n")
    name, done = run(jobs, "cat /opt/ml/input/data/pipe_0; cat /ckpt/before; echo saved > /ckpt/after; exit 1",
                     InputDataConfig=[channel("pipe", f"s3://{jobs.bucket}/data/", "Pipe")],
                     CheckpointConfig={"S3Uri": f"s3://{jobs.bucket}/ckpt", "LocalPath": "/ckpt"})
    assert "streamed" in jobs.lines(name)
    assert "kept" in jobs.lines(name) and done["TrainingJobStatus"] == "Failed"
    assert jobs.s3.get_object(Bucket=jobs.bucket, Key="ckpt/after")["Body"].read() == b"saved\n"


def test_how_a_container_ended_is_told(jobs):
    _, done = run(jobs, "exit 7")
    assert done["FailureReason"] == "AlgorithmError: , exit code: 7"
    _, done = run(jobs, "echo no luck > /opt/ml/output/failure; exit 3")
    assert done["FailureReason"] == "AlgorithmError: no luck, exit code: 3"
    name = jobs.start(None, AlgorithmSpecification={
        "TrainingImage": "busy:1", "TrainingInputMode": "File", "ContainerEntrypoint": ["no-such-program"]})
    done = jobs.wait(name)
    assert done["FailureReason"].endswith("exit code: 127")
    assert any("no-such-program" in line for line in jobs.lines(name))


def test_an_image_that_nobody_has_is_a_clients_error(jobs):
    _, done = run(jobs, "true", image="127.0.0.1:1/none:1")
    assert done["FailureReason"].startswith("ClientError: Cannot pull algorithm container.")
    _, done = run(jobs, "true", image="Not An Image")
    assert done["FailureReason"].startswith("ClientError: Cannot pull algorithm container.")


def test_an_image_is_pulled_with_the_password_that_docker_login_left(daemon, tmp_path):
    registry = docker_daemon.Registry(tmp_path / "registry", "me", "secret")
    login = base64.b64encode(b"me:secret").decode()
    name = f"{registry.address}/team/busy"
    daemon.ask("POST", f"/images/busy:1/tag?repo={name}&tag=7")
    auth = base64.urlsafe_b64encode(json.dumps({"username": "me", "password": "secret"}).encode()).decode()
    pushed = daemon.ask("POST", f"/images/{name}/push?tag=7", headers={"X-Registry-Auth": auth})
    assert b"error" not in bytes(str(pushed), "utf-8"), pushed
    try:
        for knows_password in (False, True):
            daemon.ask("DELETE", f"/images/{name}:7")
            folder = tmp_path / f"with-{knows_password}"
            folder.mkdir()
            entries = {registry.address: {"auth": login}} if knows_password else {}
            (folder / "config.json").write_text(json.dumps({"auths": entries}))
            service = Service(folder, "--docker", daemon.url, *PLAIN_ARGUMENTS,
                              environment=os.environ | {"DOCKER_CONFIG": str(folder)})
            job, done = run(Jobs(service, "busy:1"), "echo pulled", image=f"{name}:7")
            if knows_password:
                assert done["TrainingJobStatus"] == "Completed", done
            else:
                assert done["FailureReason"].startswith("ClientError: Cannot pull algorithm container."), done
                daemon.ask("POST", f"/images/busy:1/tag?repo={name}&tag=7")
            assert service.close() == 0
    finally:
        registry.close()


def test_the_daemons_end_fails_its_jobs_and_leaves_nothing(daemon, own_service):
    service = own_service("--docker", daemon.url, *PLAIN_ARGUMENTS)
    jobs = Jobs(service, "busy:1")
    name = start(jobs, "echo ready; sleep 1000")
    jobs.wait_for_line(name, "ready")
    daemon.stop()
    daemon.start()
    assert jobs.wait(name)["TrainingJobStatus"] == "Failed"


def test_a_lost_data_dir_and_a_kill_leave_orphans_that_go(daemon, own_service):
    service = own_service("--docker", daemon.url, *PLAIN_ARGUMENTS)
    jobs = Jobs(service, "busy:1")
    name = start(jobs, "echo ready; sleep 1000")
    jobs.wait_for_line(name, "ready")
    service.kill()
    os.kill(agent_of(service, name), signal.SIGKILL)
    subprocess.run(["rm", "-rf", service.folder / "data/containers" / name], check=True)
    assert daemon.containers(name)
    service.start()
    deadline = time.monotonic() + 30
    while not any(one["State"]["Running"] and one["Config"]["Labels"]["trainyard.job"] == name
                  for one in daemon.containers(name)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(daemon.containers(name)) == 1  # of the agent that was started anew


def test_image_check_says_what_is_wrong(daemon):
    def check(image):
        ran = subprocess.run([PROGRAM, "image", "check", "--json", "--docker", daemon.url, image],
                             capture_output=True, text=True)
        return ran.returncode, {one["about"]: one for one in json.loads(ran.stdout or "[]")}

    status, found = check("toolkit:1")
    assert status == 0 and found["toolkit"]["text"] == "/usr/local/bin/train", found
    status, found = check("busy:nobody")
    assert status == 0 and found["user"]["finding"] == "note", found
    assert check("static:1")[0] == 0
    assert check("none:1")[0] == 1


def test_memory_is_limited_and_its_end_is_told(daemon, own_service):
    service = own_service("--docker", daemon.url, "--job-memory-mib", "64", "--job-cpus", "1",
                      *PLAIN_ARGUMENTS)
    jobs = Jobs(service, "busy:1")
    _, done = run(jobs, "head -c 300m /dev/zero | tail -c 200m > /dev/null; yes | tail -c 500m")
    assert done["FailureReason"].startswith("AlgorithmError: ")
    assert "killed for memory: the job's limit is 64.0 MiB" in done["FailureReason"], done["FailureReason"]


def test_a_stop_reaches_the_script_under_its_shells(jobs):
    name = start(jobs, "sh -c 'trap \"echo saving > /opt/ml/model/m; echo told; exit 0\" TERM; echo ready; "
                       "while true; do sleep 0.1; done'; echo shell goes on")
    jobs.wait_for_line(name, "ready")
    begin = time.monotonic()
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    done = jobs.wait(name)
    assert done["TrainingJobStatus"] == "Stopped" and time.monotonic() - begin < 20
    assert jobs.lines(name).count("told") == 1
    assert jobs.archive(name) == {"m": b"saving\n"}


def test_one_that_hangs_on_stop_is_killed_after_the_grace(daemon, own_service):
    service = own_service("--docker", daemon.url, "--stop-grace-seconds", "1", *PLAIN_ARGUMENTS)
    jobs = Jobs(service, "busy:1")
    name = start(jobs, "trap '' TERM; echo ready; while true; do sleep 1; done")
    jobs.wait_for_line(name, "ready")
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    assert jobs.wait(name)["TrainingJobStatus"] == "Stopped"


def test_a_job_that_takes_too_long_is_stopped(jobs):
    name, done = run(jobs, "while true; do sleep 0.1; done", StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert (done["TrainingJobStatus"], done["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_no_line_is_lost_or_doubled_when_agents_die(docker_service, jobs):
    name = start(jobs, "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; usleep 1000; done")
    for number in (100, 700, 1500):
        jobs.wait_for_line(name, f"line {number}")
        os.kill(agent_of(docker_service, name), signal.SIGKILL)
    done = jobs.wait(name)
    assert done["TrainingJobStatus"] == "Completed"
    assert [line for line in jobs.lines(name) if line.startswith("line ")] == [
        f"line {number}" for number in range(1, 3001)]


def test_a_restart_of_the_server_leaves_the_script_alone(daemon, own_service):
    service = own_service("--docker", daemon.url, *PLAIN_ARGUMENTS)
    jobs = Jobs(service, "busy:1")
    name = start(jobs, "echo ready; sleep 3; echo end")
    jobs.wait_for_line(name, "ready")
    begun = daemon.containers(name)[0]["State"]["StartedAt"]
    service.kill()
    service.start()
    jobs = Jobs(service, "busy:1")
    assert daemon.containers(name)[0]["State"]["StartedAt"] == begun
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed"


def test_an_instance_that_is_taken_away_ends_the_job(daemon, jobs):
    name = start(jobs, "echo ready; sleep 1000", ResourceConfig=resources(2))
    deadline = time.monotonic() + 60
    while jobs.lines(name).count("ready") < 2:
        assert time.monotonic() < deadline, jobs.lines(name)
        time.sleep(0.05)
    lost = next(one for one in daemon.containers(name) if one["Config"]["Labels"]["trainyard.instance"] == "algo-2")
    begin = time.monotonic()
    daemon.ask("POST", f"/containers/{lost['Id']}/kill?signal=SIGKILL")
    done = jobs.wait(name)
    assert done["TrainingJobStatus"] == "Failed" and time.monotonic() - begin < 10
    assert "algo-2" in done["FailureReason"] and "exit code: 137" in done["FailureReason"]


def test_containers_that_are_removed_by_somebody_else_fail_their_job(daemon, jobs):
    name = start(jobs, "echo ready; sleep 1000")
    jobs.wait_for_line(name, "ready")
    daemon.ask("DELETE", f"/containers/{daemon.containers(name)[0]['Id']}?force=1")
    assert jobs.wait(name)["TrainingJobStatus"] == "Failed"


def test_instances_of_a_job_meet_and_other_jobs_do_not(daemon, jobs):
    one = start(jobs, "echo ready; nc -l -p 7777 -e echo hello; sleep 1000", ResourceConfig=resources(1))
    jobs.wait_for_line(one, "ready")
    address = next(iter(daemon.containers(one)[0]["NetworkSettings"]["Networks"].values()))["IPAddress"]
    name, done = run(jobs, f"""
        timeout 2 nc -w 1 {address} 7777 </dev/null || echo other job: no
        timeout 2 nc -w 1 127.0.0.1 $SERVICE_PORT </dev/null || echo loopback: no
        timeout 2 nc -w 1 169.254.169.254 80 </dev/null || echo metadata: no
        wget -q -O /dev/null $AWS_ENDPOINT_URL/ 2>&1 | grep -q 403; ls /opt/ml""",
        Environment={"SERVICE_PORT": str(jobs.service.port)})
    lines = jobs.lines(name)
    assert {"other job: no", "loopback: no", "metadata: no"} <= set(lines), lines
    jobs.sagemaker.stop_training_job(TrainingJobName=one)
    name, done = run(jobs, """
        if [ $(hostname) = algo-1 ]; then timeout 20 nc -l -p 7777 -e echo hello
        else for i in $(seq 50); do nc -w 1 algo-1 7777 </dev/null && break; sleep 0.2; done; fi""",
        ResourceConfig=resources(2))
    assert "hello" in jobs.lines(name), jobs.lines(name)


@pytest.fixture
def open_port():
    """Of something that listens on all addresses of this host."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        threading.Thread(target=answer_all, args=(server,), daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def answer_all(server):
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.sendall(b"hello")


@pytest.mark.parametrize("is_isolated", [True, False])
def test_an_isolated_job_has_no_way_out_and_no_keys(daemon, jobs, open_port, is_isolated):
    name, done = run(jobs, """
        echo keys: $(env | grep -c -e ^AWS_ACCESS -e ^AWS_SECRET -e ^AWS_ENDPOINT)
        G=$(ip route | sed -n 's/default via \\([0-9.]*\\) .*/\\1/p')
        echo host: $(timeout 3 nc -w 1 $G $PORT </dev/null)
        if [ $(hostname) = algo-1 ]; then timeout 20 nc -l -p 7777 -e echo met
        else for i in $(seq 50); do nc -w 1 algo-1 7777 </dev/null && break; sleep 0.2; done; fi
        echo m > /opt/ml/model/m""",
        EnableNetworkIsolation=is_isolated, Environment={"PORT": str(open_port)}, ResourceConfig=resources(2))
    lines = jobs.lines(name)
    assert "met" in lines and jobs.archive(name) == {"m": b"m\n"}, lines
    assert lines.count("keys: 0" if is_isolated else "keys: 4") == 2, lines
    # Without isolation containers reach what the host shows to everybody, as with Docker anywhere.
    assert lines.count("host:" if is_isolated else "host: hello") == 2, lines


def test_managed_environments_and_the_tag_decide_where_a_job_runs(daemon, jobs, docker_service):
    jobs.image = PLAIN
    done = jobs.run("print('managed')")
    assert done["TrainingJobStatus"] == "Completed"
    name = jobs.start("print('managed')", Tags=[{"Key": "trainyard:engine", "Value": "docker"}])
    assert "Cannot pull" in jobs.wait(name)["FailureReason"]


def test_nothing_stays_behind(daemon, jobs):
    run(jobs, "true", ResourceConfig=resources(2))
    deadline = time.monotonic() + 30
    while daemon.labelled():
        assert time.monotonic() < deadline, daemon.labelled()
        time.sleep(0.1)
