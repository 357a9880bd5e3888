# SPDX-License-Identifier: Apache-2.0
"""The same jobs on hosts of other kinds: an ordinary user, no namespaces, little memory, a full disk."""
import os
import pathlib
import shutil
import subprocess
import time

import pytest
from botocore.exceptions import ClientError
from conftest import PLAIN_ARGUMENTS, PROGRAM, ROOT, Jobs, Service

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@needs_root
def test_an_ordinary_user_has_walls_too(tmp_path):
    """With user namespaces. The user sees neither the checkout of root nor its environments."""
    if subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "unshare", "-U",
                       "true"]).returncode != 0:
        pytest.skip("this host gives ordinary users no namespaces")
    home = tmp_path / "home"
    home.mkdir()
    for path in (PROGRAM, ROOT / "tests/training/environments.toml", shutil.which("uv") or ROOT / "build/tools/bin/uv"):
        shutil.copy(path, home)
    subprocess.run(["chown", "-R", "65534:65534", home], check=True)
    for folder in [home, *home.parents][:-2]:
        folder.chmod(folder.stat().st_mode | 0o055)
    environment = os.environ | {"PATH": "/usr/bin:/bin", "HOME": str(home)}
    service = Service(home, "--environments", home / "environments.toml", "--isolation", "sandbox", "--uv",
                      home / "uv", program=home / "trainyard", user=65534, environment=environment)
    try:
        jobs = Jobs(service)
        jobs.s3.put_object(Bucket=jobs.bucket, Key="in/a", Body=b"data")
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{jobs.bucket}/in"}}
        name = jobs.start("""
            import os, socket
            assert socket.gethostname() == "algo-1" and os.getuid() == 65534
            assert not os.path.exists("/root")
            open(os.environ["SM_MODEL_DIR"] + "/m", "w").write("x")
            root = "/opt/ml/input/data/"
            assert open(root + "pipe_0").read() == open(root + "fast/a").read() == "data"
            with open(root + "file/a", "r+") as file:
                file.write("own!")
            try:
                os.chmod(root + "fast/a", 0o777)
            except OSError as error:
                print("REFUSED", error.strerror)
            os.makedirs("/tmp/closed/in")
            os.chmod("/tmp/closed", 0)
        """, InputDataConfig=[{"ChannelName": channel, "InputMode": mode, "DataSource": source}
                              for channel, mode in (("file", "File"), ("fast", "FastFile"), ("pipe", "Pipe"))])
        done = jobs.wait(name)
        assert done["TrainingJobStatus"] == "Completed", (done.get("FailureReason"), jobs.lines(name)[-8:])
        assert jobs.archive(name) == {"m": b"x"} and "REFUSED Read-only file system" in jobs.lines(name)
        assert jobs.s3.get_object(Bucket=jobs.bucket, Key="in/a")["Body"].read() == b"data"
        assert sum("in place, no byte moved" in line for line in jobs.lines(name)) == 2, jobs.lines(name)
        deadline = time.monotonic() + 30
        while (home / "data/jobs" / name).exists():  # nothing is left, closed folders neither
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        service.close()


def test_without_walls_the_log_says_so_and_opt_ml_is_lent(own_service):
    service = own_service("--isolation", "process", *PLAIN_ARGUMENTS)
    assert "JOBS ARE NOT WALLED OFF" in (service.folder / "server.log").read_text()
    jobs = Jobs(service)
    names = [jobs.start("""
        import os, sys
        base = os.environ["SAGEMAKER_BASE_DIR"]
        assert os.environ["SM_MODEL_DIR"] == base + "/model"
        open(base + "/model/name", "w").write(os.environ["TRAINING_JOB_NAME"])
        print("done in", os.path.realpath(base))
    """) for _ in range(3)]
    for name in names:
        assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
        assert jobs.archive(name) == {"name": name.encode()}
        assert any("NOT walled off" in line for line in jobs.lines(name))


@needs_root
@pytest.mark.parametrize("files", [{}, {"setup.py": "raise SystemExit('no package')"}], ids=["runs", "fails early"])
def test_each_job_has_a_control_group_that_goes_with_it(jobs, files):
    if not any(os.access(folder, os.W_OK) for folder in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup/cgroup.procs")):
        pytest.skip("this host lets nobody make control groups")
    name = jobs.start("print('ready')\nimport time; time.sleep(1000)", files=files)

    def groups():
        return list(pathlib.Path("/sys/fs/cgroup").glob(f"**/trainyard/{name}-1-algo-1"))

    if not files:
        jobs.wait_for_line(name, "ready")
        processes = {int(pid) for group in groups() for pid in (group / "cgroup.procs").read_text().split()}
        commands = [pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() for pid in processes]
        assert any(b"train.py" in command for command in commands), commands
        jobs.sagemaker.stop_training_job(TrainingJobName=name)
    jobs.wait(name)
    assert groups() == []


@needs_root
def test_a_job_killed_for_memory_says_so(own_service):
    service = own_service("--job-memory-mib", "256", *PLAIN_ARGUMENTS)
    jobs = Jobs(service)
    name = jobs.start("x = bytearray(1 << 30); print('never')")
    done = jobs.wait(name)
    if any("not enforced" in line for line in jobs.lines(name)):
        pytest.skip("this host has no memory controller for us")
    assert done["TrainingJobStatus"] == "Failed"
    assert "killed for memory: the job's limit is 256" in done["FailureReason"]
    assert jobs.wait(jobs.start("print('the next one runs')"))["TrainingJobStatus"] == "Completed"


@needs_root
def test_a_jobs_cpus_are_limited(own_service):
    service = own_service("--job-cpus", "1", *PLAIN_ARGUMENTS)
    jobs = Jobs(service)
    name = jobs.start("""
        import os, subprocess, sys, time
        burn = "import time\\nend = time.time() + 2\\nwhile time.time() < end: pass"
        children = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(4)]
        [child.wait() for child in children]
        used = os.times()
        print("used", used.children_user + used.children_system)
    """)
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    if any("not enforced" in line for line in jobs.lines(name)):
        pytest.skip("this host has no CPU controller for us")
    used = float(next(line for line in jobs.lines(name) if line.startswith("used")).split()[1])
    assert used < 3.2, "four processes of 2 s each got about one core"


@needs_root
def test_a_full_disk_is_a_clear_error_and_the_service_goes_on(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk]).returncode != 0:
        pytest.skip("cannot mount here")
    service = None
    try:
        service = Service(disk, *PLAIN_ARGUMENTS)
        jobs = Jobs(service)
        with pytest.raises(ClientError) as error:
            service.client("s3", config=no_retries()).put_object(
                Bucket=jobs.bucket, Key="big", Body=b"x" * (100 << 20))
        assert "no room" in str(error.value)
        name = jobs.start("""
            with open("/opt/ml/model/big", "wb") as file:
                while True:
                    file.write(b"x" * (1 << 20))
        """)
        done = jobs.wait(name)
        assert done["TrainingJobStatus"] == "Failed"
        assert "No space left on device" in done["FailureReason"]
        assert jobs.wait(jobs.start("print('room again')"))["TrainingJobStatus"] == "Completed"
    finally:
        if service:
            service.close()
        subprocess.run(["umount", "-l", disk])


def no_retries():
    from botocore.config import Config
    return Config(retries={"max_attempts": 0})


def test_settings_flag_over_variable_over_file(tmp_path):
    config = tmp_path / "trainyard.toml"
    config.write_text('region = "eu-west-1"\naccount-id = "1"\nmax-running-jobs = 9\n')

    def effective(*arguments, **variables):
        return subprocess.run([PROGRAM, "serve", "--print-config", *arguments], text=True,
                              env=os.environ | variables, stdout=subprocess.PIPE, check=True).stdout

    text = effective("--config", config, "--region", "us-east-1", TRAINYARD_ACCOUNT_ID="2",
                     TRAINYARD_REGION="no")
    for line in ('region = "us-east-1"', 'account-id = "2"', "max-running-jobs = 9", 'isolation = "auto"'):
        assert line in text
    config.write_text(text)
    assert effective("--config", config) == text, "what is printed is a configuration"
    config.write_text("regoin = 1\n")
    done = subprocess.run([PROGRAM, "serve", "--config", config], text=True, stderr=subprocess.PIPE)
    assert done.returncode == 1 and "'regoin' is no setting" in done.stderr


@pytest.mark.parametrize("name", ["max-running-jobs", "job-memory-mib", "job-cpus", "stop-grace-seconds"])
@pytest.mark.parametrize("value", ["-1", "x", "9223372036854775807", "18446744073709551615"])
def test_numbers_that_no_host_can_mean_are_refused(name, value):
    done = subprocess.run([PROGRAM, "serve", "--print-config", f"--{name}={value}"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 1 and f"{name} is a whole number from" in done.stderr, (done.stdout, done.stderr)


def test_others_cannot_be_served_without_being_told_so(tmp_path):
    done = subprocess.run([PROGRAM, "serve", "--listen", "0.0.0.0:0", "--data-dir", tmp_path], text=True,
                          stderr=subprocess.PIPE)
    assert done.returncode == 1 and "--allow-plain-http" in done.stderr


def test_two_servers_cannot_share_a_data_dir(own_service):
    service = own_service()
    done = subprocess.run([PROGRAM, "serve", "--listen", "127.0.0.1:0", "--data-dir", service.folder / "data"],
                          text=True, stderr=subprocess.PIPE)
    assert done.returncode == 1 and "another trainyard serves" in done.stderr
