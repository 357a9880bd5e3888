# SPDX-License-Identifier: Apache-2.0
"""Buckets that live in another S3 service: [s3.remotes.<name>] of the configuration."""
import json
import os
import signal
import socket
import ssl
import subprocess
import threading

import pytest
from botocore.exceptions import ClientError
from conftest import PLAIN_ARGUMENTS, PROGRAM, Jobs, Service


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Another S3 service, with another secret and another region."""
    made = Service(tmp_path_factory.mktemp("elsewhere"), "--region", "eu-west-1", *PLAIN_ARGUMENTS)
    yield made
    assert made.close() == 0


def configuration(elsewhere, buckets='["lake", "team-*"]', secret="env:LAKE_SECRET"):
    return f"""
        [s3.remotes.lake]
        buckets = {buckets}
        endpoint = "{elsewhere.ready['endpoint']}"
        region = "eu-west-1"
        access_key = "{elsewhere.ready['access_key']}"
        secret_key = "{secret}"
    """


@pytest.fixture(scope="module")
def jobs(elsewhere, tmp_path_factory):
    folder = tmp_path_factory.mktemp("remotes")
    (folder / "trainyard.toml").write_text(configuration(elsewhere))
    made = Service(folder, "--config", folder / "trainyard.toml", *PLAIN_ARGUMENTS,
                   environment=os.environ | {"LAKE_SECRET": elsewhere.ready["secret_key"]})
    s3 = elsewhere.client("s3")
    s3.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for number in range(5):
        s3.put_object(Bucket="lake", Key=f"in/part-{number}", Body=bytes([number]) * 1000)
    yield Jobs(made)
    assert made.close() == 0


def channel(uri):
    return [{"ChannelName": "train", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}]


def test_a_remote_bucket_is_a_channel_an_output_and_holds_checkpoints(jobs, elsewhere):
    name = jobs.start("""
        import shutil
        shutil.copytree("/opt/ml/input/data/train", "/opt/ml/model/copy")
        open("/opt/ml/checkpoints/ckpt", "w").write("step 1")
    """, InputDataConfig=channel("s3://lake/in"), OutputDataConfig={"S3OutputPath": "s3://lake/out"},
        CheckpointConfig={"S3Uri": "s3://lake/checkpoints"})
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    here = Jobs(elsewhere)
    here.bucket = "lake"
    assert here.archive(name) == {f"copy/part-{n}": bytes([n]) * 1000 for n in range(5)}
    assert here.s3.get_object(Bucket="lake", Key="checkpoints/ckpt")["Body"].read() == b"step 1"
    assert jobs.describe(name)["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://lake/out/{name}/output/model.tar.gz"


def test_no_secret_of_the_remote_reaches_the_script(jobs, elsewhere):
    name = jobs.start("""
        import os, subprocess
        print(dict(os.environ)); print(subprocess.run("cat /proc/*/environ /proc/*/cmdline", shell=True, capture_output=True))
    """, InputDataConfig=channel("s3://lake/in"))
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert elsewhere.ready["secret_key"] not in "".join(jobs.lines(name))


def test_create_lists_the_remote_bucket(jobs):
    with pytest.raises(ClientError, match='No S3 objects found under S3 URL "s3://lake/nothing"'):
        jobs.start("", InputDataConfig=channel("s3://lake/nothing"))
    with pytest.raises(ClientError, match='No S3 objects found under S3 URL "s3://team-none/x"'):
        jobs.start("", InputDataConfig=channel("s3://team-none/x"))


def test_wrong_keys_are_told_at_create(elsewhere, tmp_path):
    (tmp_path / "trainyard.toml").write_text(configuration(elsewhere, secret="wrong"))
    made = Service(tmp_path, "--config", tmp_path / "trainyard.toml", *PLAIN_ARGUMENTS)
    with pytest.raises(ClientError, match=r"cannot be listed: \[s3.remotes.lake\]: GET s3://lake/: 403 SignatureDoesNotMatch"):
        Jobs(made).start("", InputDataConfig=channel("s3://lake/in"))
    assert made.close() == 0


@pytest.mark.parametrize("text, told", [
    ("[s3.remotes.x]\nendpoint = 'http://h'", "buckets is missing"),
    ("[s3.remotes.x]\nbuckets = ['b']\nendpoint = 'h:1'", "endpoint begins with http:// or https://"),
    ("[s3.remotes.x]\nbuckets = ['b']\nacess_key = 'a'", "'acess_key' is no member"),
    ("[s3.remotes.x]\nbuckets = ['b']\naccess_key = 'a'", "access_key and secret_key go together"),
    ("[s3.remotes.x]\nbuckets = ['b']\nsecret_key = 'env:NOT_THERE'", "the variable NOT_THERE is not set"),
    ("[s3]\nremote = 1", "[s3] has the tables [s3.remotes.<name>] only")])
def test_a_wrong_configuration_is_named(tmp_path, text, told):
    (tmp_path / "c.toml").write_text(text)
    ended = subprocess.run([PROGRAM, "serve", "--config", tmp_path / "c.toml", "--data-dir", tmp_path / "d",
                            "--print-config"], capture_output=True, text=True)
    assert ended.returncode == 1 and told in ended.stderr and "c.toml" in ended.stderr


TWICE = """
    import glob, os, time
    files = sorted(glob.glob("/opt/ml/input/data/train/*")) or ["/opt/ml/input/data/train_0"]
    print("BYTES", sum(len(open(path, "rb").read()) for path in files), flush=True)
    if not os.path.exists("/opt/ml/checkpoints/second"):
        open("/opt/ml/checkpoints/second", "w").write("x")
        print("WAITING", flush=True)
        time.sleep(600)
"""


@pytest.mark.parametrize("mode", ["File", "FastFile", "Pipe"])
def test_a_spot_job_that_was_interrupted_finds_its_channel_again(jobs, mode):
    channels = channel("s3://lake/in")
    channels[0]["InputMode"] = mode
    name = jobs.start(TWICE, InputDataConfig=channels, CheckpointConfig={"S3Uri": f"s3://{jobs.bucket}/{mode}"},
                      EnableManagedSpotTraining=True,
                      StoppingCondition={"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900})
    jobs.wait_for_line(name, "WAITING")
    done = subprocess.run([PROGRAM, "interrupt", name, "--data-dir", jobs.service.folder / "data"])
    assert done.returncode == 0 and jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert jobs.lines(name).count("BYTES 5000") == 2


@pytest.mark.parametrize("mode", ["File", "FastFile", "Pipe"])
def test_a_job_whose_instance_was_lost_finds_its_channel_again(jobs, mode):
    channels = channel("s3://lake/in")
    channels[0]["InputMode"] = mode
    name = jobs.start(TWICE, InputDataConfig=channels, CheckpointConfig={"S3Uri": f"s3://{jobs.bucket}/retry-{mode}"},
                      RetryStrategy={"MaximumRetryAttempts": 1})
    jobs.wait_for_line(name, "WAITING")
    while not any("second" in key for key in jobs.keys(f"retry-{mode}/")):
        assert jobs.describe(name)["TrainingJobStatus"] == "InProgress", jobs.lines(name)
    supervisor = json.loads((jobs.service.folder / "data/jobs" / name / "1/algo-1/run.pid").read_text())["pid"]
    os.kill(supervisor, signal.SIGKILL)
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert jobs.lines(name).count("BYTES 5000") == 2


class TlsFront:
    """Speaks TLS before a server that does not, with a certificate that only its own file vouches for."""

    def __init__(self, folder, port):
        self.ca, key = folder / "front.pem", folder / "front.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", self.ca, "-days", "2", "-subj", "/CN=front",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.ca, key)
        self.target, self.count = port, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(plain,), daemon=True).start()

    def carry(self, plain):
        try:
            inside = self.context.wrap_socket(plain, server_side=True)
        except (ssl.SSLError, OSError):
            return
        self.count += 1
        outside = socket.create_connection(("127.0.0.1", self.target))
        back = threading.Thread(target=self.pump, args=(outside, inside), daemon=True)
        back.start()
        self.pump(inside, outside)
        back.join()

    @staticmethod
    def pump(source, target):
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


@pytest.fixture
def secure(elsewhere, jobs, tmp_path):  # jobs: has put the objects there
    front = TlsFront(tmp_path, elsewhere.port)
    made = []

    def make(trust):
        folder = tmp_path / f"service-{len(made)}"
        folder.mkdir()
        text = configuration(elsewhere, secret=elsewhere.ready["secret_key"]).replace(
            elsewhere.ready["endpoint"], f"https://127.0.0.1:{front.port}")
        (folder / "trainyard.toml").write_text(text + (f'ca_file = "{front.ca}"' if trust else ""))
        made.append(Service(folder, "--config", folder / "trainyard.toml", *PLAIN_ARGUMENTS))
        made[-1].front = front
        return Jobs(made[-1])

    yield make
    for one in made:
        assert one.close() == 0
    front.listener.close()


@pytest.mark.parametrize("mode", ["File", "FastFile", "Pipe"])
def test_a_whole_job_over_tls(secure, mode):
    jobs = secure(True)
    channels = channel("s3://lake/in")
    channels[0]["InputMode"] = mode
    name = jobs.start(TWICE.replace("not os", "False and not os"), InputDataConfig=channels,
                      OutputDataConfig={"S3OutputPath": f"s3://lake/tls-{mode}"})
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert "BYTES 5000" in jobs.lines(name)
    assert jobs.service.front.count > 0


def test_a_certificate_that_nobody_vouches_for_is_refused(secure):
    with pytest.raises(ClientError, match="cannot be listed.*(certificate|self.signed)"):
        secure(False).start("", InputDataConfig=channel("s3://lake/in"))
