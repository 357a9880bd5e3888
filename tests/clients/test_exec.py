# SPDX-License-Identifier: Apache-2.0
"""`trainyard exec`: programs that call hard-coded hosts of AWS, and everything else they may do."""
import hashlib
import json
import os
import pathlib
import signal
import socketserver
import ssl
import subprocess
import sys
import textwrap
import threading

import pytest
import requests
from conftest import PROGRAM

BUCKET = "exec-bucket"


def command(service, *arguments):
    return [PROGRAM, "exec", "--data-dir", service.folder / "data", "--", *arguments]


def run(service, *arguments, **variables):
    """What the program printed; AWS variables are not inherited, and the endpoint is not set for it either, so
    that every call goes to the host that botocore makes up."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(command(service, "env", "-u", "AWS_ENDPOINT_URL", *arguments),
                          env=environment | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=120)
    assert done.returncode == 0, done.stdout
    return done.stdout


def python(service, script, *arguments, **variables):
    return run(service, sys.executable, "-c", textwrap.dedent(script), *arguments, **variables)


@pytest.fixture(scope="module")
def exec_bucket(service):
    service.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    return BUCKET


def test_every_api_answers_at_its_own_host(service, exec_bucket):
    output = python(service, """
        import boto3
        def host(client):
            return client.meta.endpoint_url
        sts, iam = boto3.client("sts", region_name="us-west-2"), boto3.client("iam")
        print(host(sts), sts.get_caller_identity()["Arn"])
        role = iam.get_role(RoleName="TrainyardExecutionRole")["Role"]
        print(host(iam), role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"])
        print([(r["EvalActionName"], r["EvalDecision"]) for r in iam.simulate_principal_policy(
            PolicySourceArn=role["Arn"], ActionNames=["s3:GetObject", "s3:PutObject"])["EvaluationResults"]])
        sagemaker, logs, monitoring = (boto3.client(name) for name in ("sagemaker", "logs", "cloudwatch"))
        print(host(sagemaker), sagemaker.list_training_jobs(NameContains="none")["TrainingJobSummaries"])
        print(host(logs), "logGroups" in logs.describe_log_groups())
        print(host(monitoring), "Metrics" in monitoring.list_metrics())
    """)
    assert output.splitlines() == [
        "https://sts.us-west-2.amazonaws.com "
        "arn:aws:sts::123456789012:assumed-role/TrainyardExecutionRole/trainyard",
        "https://iam.amazonaws.com {'Service': 'sagemaker.amazonaws.com'}",
        "[('s3:GetObject', 'allowed'), ('s3:PutObject', 'allowed')]",
        "https://api.sagemaker.us-west-2.amazonaws.com []",
        "https://logs.us-west-2.amazonaws.com True",
        "https://monitoring.us-west-2.amazonaws.com True"]


@pytest.mark.parametrize("region, style", [("us-west-2", "virtual"), ("us-west-2", "path"), ("us-east-1", "auto")])
def test_objects_travel_to_virtual_hosts(service, exec_bucket, region, style):
    output = python(service, """
        import boto3, botocore.config, hashlib, io, os, sys
        bucket, region, style = sys.argv[1:]
        hosts = set()
        s3 = boto3.client("s3", region_name=region, config=botocore.config.Config(s3={"addressing_style": style}))
        s3.meta.events.register("before-send.s3", lambda request, **_: hosts.add(request.url.split("/")[2]))
        small, large = os.urandom(3 << 20), os.urandom(30 << 20)
        s3.put_object(Bucket=bucket, Key="a b/+%/ä.bin", Body=small)
        assert s3.get_object(Bucket=bucket, Key="a b/+%/ä.bin")["Body"].read() == small
        s3.upload_fileobj(io.BytesIO(large), bucket, "large")
        assert s3.head_object(Bucket=bucket, Key="large")["ETag"].endswith('-4"')
        back = io.BytesIO()
        s3.download_fileobj(bucket, "large", back)
        assert back.getvalue() == large
        assert s3.get_object(Bucket=bucket, Key="large", Range="bytes=5-9")["Body"].read() == large[5:10]
        keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]
        assert keys == ["a b/+%/ä.bin", "large"], keys
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
        print(*sorted(hosts))
    """, exec_bucket, region, style)
    assert output.split() == {"virtual": ["exec-bucket.s3.us-west-2.amazonaws.com"],
                              "path": ["s3.us-west-2.amazonaws.com"],
                              "auto": ["exec-bucket.s3.amazonaws.com"]}[style]


@pytest.mark.parametrize("signature", ["s3", "s3v4"])
def test_presigned_urls_of_virtual_hosts_open(service, exec_bucket, signature, tmp_path):
    (tmp_path / "body").write_bytes(b"presigned")
    output = python(service, """
        import boto3, botocore.config, subprocess, sys
        bucket, signature, body = sys.argv[1:]
        s3 = boto3.client("s3", config=botocore.config.Config(signature_version=signature,
                                                              s3={"addressing_style": "virtual"}))
        parameters = {"Bucket": bucket, "Key": "signed/x"}
        put, get = (s3.generate_presigned_url(name, Params=parameters) for name in ("put_object", "get_object"))
        assert put.startswith(f"https://{bucket}.s3."), put
        curl = ["curl", "-sS", "--fail"]
        subprocess.run([*curl, "-T", body, put], check=True)
        subprocess.run([*curl, get], check=True)
    """, exec_bucket, signature, str(tmp_path / "body"))
    assert output == "presigned"


def test_curl_trusts_the_service_and_is_told_that_it_did_not_sign(service):
    output = run(service, "curl", "-sS", "-w", "\n%{http_code} %{ssl_verify_result}", "https://sts.amazonaws.com/")
    assert "The request is not signed" in output and output.endswith("\n403 0")


def test_the_command_line_of_aws_works_as_it_is(service, exec_bucket, tmp_path):
    aws = str(pathlib.Path(sys.executable).parent / "aws")
    (tmp_path / "file").write_bytes(os.urandom(9 << 20))
    run(service, aws, "s3", "cp", "--no-progress", str(tmp_path / "file"), f"s3://{BUCKET}/cli/file")
    run(service, aws, "s3", "cp", "--no-progress", f"s3://{BUCKET}/cli/file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()
    run(service, aws, "s3", "rm", f"s3://{BUCKET}/cli/file")


@pytest.fixture(scope="module")
def tls_echo(tmp_path_factory):
    """A TLS server with a certificate of its own, that answers with what it got; (port, certificate)."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", folder / "key.pem", "-out", folder / "certificate.pem", "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, stderr=subprocess.DEVNULL)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")

    class Echo(socketserver.BaseRequestHandler):
        def handle(self):
            with context.wrap_socket(self.request, server_side=True) as peer:
                while data := peer.recv(65536):
                    peer.sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], folder / "certificate.pem"
        server.shutdown()


CONNECT = """
    import base64, os, socket, ssl, sys, urllib.parse
    proxy = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"])
    target = sys.argv[1]
    peer = socket.create_connection((proxy.hostname, proxy.port))
    secret = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
    peer.sendall(f"CONNECT {target} HTTP/1.1\\r\\nProxy-Authorization: Basic {secret}\\r\\n\\r\\n".encode())
    head = b""
    while not head.endswith(b"\\r\\n\\r\\n"):
        head += peer.recv(1)
    print(head.split(b"\\r\\n")[0].decode())
"""


def test_another_host_is_passed_through_with_its_own_certificate(service, tls_echo):
    port, certificate = tls_echo
    output = python(service, CONNECT + """
    # The bundle holds the roots that the caller had named.
    context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    with context.wrap_socket(peer, server_hostname="localhost") as tls:
        print(dict(pair[0] for pair in tls.getpeercert()["subject"]))
        tls.sendall(b"x" * 100_000)
        print(sum(len(tls.recv(1000)) for _ in range(100)))
    """, f"127.0.0.1:{port}", SSL_CERT_FILE=str(certificate))
    assert output.splitlines()[:2] == ["HTTP/1.1 200 Connection established", "{'commonName': 'localhost'}"]


def test_a_host_of_another_domain_is_not_impersonated(service, tls_echo):
    """amazonaws.com.cn is another domain: the proxy looks it up, instead of answering for it."""
    output = python(service, CONNECT, "sts.cn-north-1.amazonaws.com.cn.invalid:443")
    assert output.startswith("HTTP/1.1 502 ")


def test_through_the_proxy_that_the_caller_already_has(service, tls_echo):
    """exec within exec: the outer proxy is what leads the inner one to other hosts."""
    port, certificate = tls_echo
    inner = command(service, sys.executable, "-c", textwrap.dedent(CONNECT), f"127.0.0.1:{port}")
    assert run(service, *inner).startswith("HTTP/1.1 200 ")


def test_the_proxy_serves_nobody_without_its_password(service):
    output = python(service, """
        import os, socket, sys, urllib.parse
        proxy = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"])
        for authorization in ("", "Proxy-Authorization: Basic dHJhaW55YXJkOng=\\r\\n"):
            with socket.create_connection((proxy.hostname, proxy.port)) as peer:
                peer.sendall(f"CONNECT sts.amazonaws.com:443 HTTP/1.1\\r\\n{authorization}\\r\\n".encode())
                print(peer.recv(1000).split(b"\\r\\n")[0].decode())
    """)
    assert output.splitlines() == ["HTTP/1.1 407 Proxy Authentication Required"] * 2


def test_the_environment_leads_to_the_service_and_not_elsewhere(service, tmp_path):
    output = subprocess.run(
        command(service, sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"),
        env=os.environ | {"AWS_PROFILE": "mine", "AWS_SESSION_TOKEN": "old", "AWS_ENDPOINT_URL_S3": "http://else",
                          "NO_PROXY": "intra.net,.amazonaws.com,*", "HOME": str(tmp_path), "KEPT": "yes"},
        stdout=subprocess.PIPE, check=True, text=True).stdout
    variables = json.loads(output)
    assert variables["AWS_ENDPOINT_URL"] == service.ready["endpoint"]
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "us-west-2"
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"} & set(variables)
    assert variables["NO_PROXY"] == variables["no_proxy"] == "localhost,127.0.0.1,::1,intra.net"
    assert variables["KEPT"] == "yes" and variables["AWS_EC2_METADATA_DISABLED"] == "true"
    folder = pathlib.Path(variables["SAGEMAKER_ADMIN_CONFIG_OVERRIDE"]).parent
    assert not folder.exists(), "nothing is left behind"
    with pytest.raises(requests.ConnectionError):
        requests.get(variables["HTTPS_PROXY"], timeout=10)


def test_the_sdk_defaults_of_the_user_stay(service, tmp_path):
    own = tmp_path / "sagemaker/config.yaml"
    own.parent.mkdir()
    own.write_text("SchemaVersion: '1.0'\nSageMaker: {TrainingJob: {RoleArn: 'arn:aws:iam::123456789012:role/Mine'}}\n")
    output = python(service, """
        import sagemaker.config
        config = sagemaker.config.load_sagemaker_config()["SageMaker"]
        print(config["TrainingJob"]["RoleArn"], config["PythonSDK"]["Modules"]["TelemetryOptOut"])
    """, XDG_CONFIG_HOME=str(tmp_path))
    assert output.splitlines()[-1] == "arn:aws:iam::123456789012:role/Mine True"


@pytest.mark.parametrize("script, status", [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 128 + 9)])
def test_the_exit_status_is_the_programs(service, script, status):
    assert subprocess.run(command(service, "sh", "-c", script)).returncode == status


def test_what_cannot_start_is_said(service, tmp_path):
    missing = subprocess.run(command(service, "no-such-program"), stderr=subprocess.PIPE, text=True)
    assert missing.returncode == 127 and "no-such-program" in missing.stderr
    nothing = subprocess.run(command(service), stderr=subprocess.PIPE, text=True)
    assert nothing.returncode == 1 and "trainyard exec -- COMMAND" in nothing.stderr
    alone = subprocess.run([PROGRAM, "exec", "--endpoint", "http://127.0.0.1:9", "--", "true"], text=True,
                           stderr=subprocess.PIPE, env=os.environ | {"AWS_ACCESS_KEY_ID": "A", "HOME": str(tmp_path),
                                                                     "AWS_SECRET_ACCESS_KEY": "B"})
    assert alone.returncode == 1 and "no service answers at http://127.0.0.1:9" in alone.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_reach_the_program(service, number):
    program = subprocess.Popen(command(service, sys.executable, "-uc", textwrap.dedent("""
        import signal, sys
        def end(number, frame):
            print("got", number, flush=True)
            sys.exit(40 + number)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, end)
        print("ready")
        while True:
            signal.pause()
    """)), stdout=subprocess.PIPE, text=True)
    assert program.stdout.readline() == "ready\n"
    program.send_signal(number)
    assert program.stdout.read() == f"got {number:d}\n"
    assert program.wait(30) == 40 + number


def test_the_key_is_private_and_outlives_the_program(service):
    run(service, "true")
    file = service.folder / "data/authority/authority.pem"
    before = hashlib.sha256(file.read_bytes()).digest()
    assert file.stat().st_mode & 0o777 == 0o600
    run(service, "true")
    assert hashlib.sha256(file.read_bytes()).digest() == before


def test_a_service_elsewhere_is_found_by_endpoint_and_keys(service, tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"AWS_ACCESS_KEY_ID": service.ready["access_key"], "XDG_STATE_HOME": str(tmp_path / "state"),
                    "AWS_SECRET_ACCESS_KEY": service.ready["secret_key"], "AWS_REGION": "us-west-2"}
    done = subprocess.run([PROGRAM, "exec", "--endpoint", service.ready["endpoint"] + "/", "--", "curl", "-sS",
                           "https://iam.amazonaws.com/"], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    assert "not signed" in done.stdout
    assert (tmp_path / "state/trainyard/authority.pem").exists()
    listed = subprocess.run([PROGRAM, "jobs", "--json", "--endpoint", service.ready["endpoint"]], env=environment,
                            stdout=subprocess.PIPE, text=True)
    assert listed.returncode == 0


def test_sdk_config_is_printed_written_and_not_overwritten(service, tmp_path):
    def sdk_config(*arguments):
        return subprocess.run([PROGRAM, "sdk-config", "--data-dir", service.folder / "data", *arguments], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    file = tmp_path / "made/config.yaml"
    text = sdk_config().stdout
    assert "DefaultS3Bucket: sagemaker-us-west-2-123456789012" in text and "TelemetryOptOut: true" in text
    assert sdk_config("--output", file).returncode == 0 and file.read_text() == text
    assert sdk_config("--output", file).returncode == 0
    file.write_text("mine")
    refused = sdk_config("--output", file)
    assert refused.returncode == 1 and "--force" in refused.stderr and file.read_text() == "mine"
    assert sdk_config("--output", file, "--force").returncode == 0 and file.read_text() == text
    output = python(service, "import sagemaker; print(sagemaker.Session().default_bucket())",
                    SAGEMAKER_USER_CONFIG_OVERRIDE=str(file))
    assert output.splitlines()[-1] == "sagemaker-us-west-2-123456789012"
