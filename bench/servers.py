# SPDX-License-Identifier: Apache-2.0
"""S3 servers of this run: Trainyard and its peers, each on a loopback port of its own."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEERS = ROOT / "build/peers"
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "tests/data"))

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402
from conftest import PLAIN_ARGUMENTS, PROGRAM, Jobs, Service  # noqa: E402
from measuring import cpu_of, processes_below  # noqa: E402

PROBES = PROGRAM.parent
REGION = "us-west-2"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Server:
    """`bucket` and the keys are set by those who make one; `pid` is the process that is measured."""
    name, flags = "", ""
    access_key, secret_key = "benchbenchbench", "benchsecretbenchsecret"

    def client(self):
        return boto3.client("s3", endpoint_url=self.endpoint, region_name=REGION, aws_access_key_id=self.access_key,
                            aws_secret_access_key=self.secret_key,
                            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 2}))

    def environment(self):
        """For clients that read AWS's variables; nothing of this machine's settings reaches them."""
        keep = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return keep | {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": self.access_key,
                       "AWS_SECRET_ACCESS_KEY": self.secret_key, "AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION,
                       "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
                       "AWS_EC2_METADATA_DISABLED": "true"}

    @property
    def address(self):
        return self.endpoint.removeprefix("http://")

    def cpu(self):
        return sum(cpu_of(pid) for pid in processes_below(self.pid))

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def start(self, command, environment=None, cwd=None):
        """Returns when its port takes connections."""
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen([str(word) for word in command], stdout=self.log, stderr=self.log, cwd=cwd,
                                        env=os.environ | (environment or {}))
        self.pid = self.process.pid
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()[-1000:]) from None
                time.sleep(0.02)


class Trainyard(Server):
    name, flags = "Trainyard", "trainyard serve"

    def __init__(self, folder, *arguments):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.service = Service(folder, *PLAIN_ARGUMENTS, *arguments)
        self.read()

    def read(self):
        ready = self.service.ready
        self.endpoint, self.access_key, self.secret_key = (
            ready[name] for name in ("endpoint", "access_key", "secret_key"))
        self.process, self.pid = self.service.process, self.service.process.pid

    def close(self):
        if self.process.poll() is None:
            self.service.kill(signal.SIGTERM)  # all jobs of a workload have ended

    def stop(self):
        self.service.kill(signal.SIGTERM)

    def start_again(self):
        self.service.start()
        self.read()

    def cpu(self):
        """Of the server alone: agents are children that it waits for, and counted in it when they end."""
        return cpu_of(self.pid)


class Versitygw(Server):
    name = "versitygw"
    flags = "versitygw --port … --access … --secret … --region us-west-2 --quiet --keep-alive posix FOLDER"

    def __init__(self, folder):
        self.folder, self.data, self.port = folder, folder / "data", free_port()
        self.data.mkdir(parents=True)
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.start([PEERS / "bin/versitygw", "--port", f"127.0.0.1:{self.port}", "--access", self.access_key,
                    "--secret", self.secret_key, "--region", REGION, "--quiet", "--keep-alive", "posix", self.data])


class Minio(Server):
    name, flags = "MinIO", "minio server FOLDER (one folder), MINIO_BROWSER=off"

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        (folder / "data").mkdir(parents=True)
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.start([PEERS / "bin/minio", "server", folder / "data", "--address", f"127.0.0.1:{self.port}"],
                   {"MINIO_ROOT_USER": self.access_key, "MINIO_ROOT_PASSWORD": self.secret_key, "MINIO_BROWSER": "off",
                    "MINIO_SITE_REGION": REGION, "MINIO_UPDATE": "off"})


NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log crit; worker_processes 2; user root;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; sendfile_max_chunk 2m; keepalive_requests 100000000;
  open_file_cache max=20000 inactive=600s; open_file_cache_valid 600s; default_type application/octet-stream;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port}; root {data}; }}
}}
"""


class Nginx(Server):
    """Files of a folder without any S3: what sending can cost at least."""
    name = "nginx"
    flags = "nginx, 2 workers, sendfile on, tcp_nopush on, open_file_cache; plain files, signatures not looked at"

    def __init__(self, folder, data):
        folder.mkdir(parents=True)
        self.folder, self.port = folder, free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        (folder / "conf").write_text(NGINX.format(folder=folder, port=self.port, data=data))
        self.start([PEERS / "root/usr/sbin/nginx", "-p", folder, "-c", folder / "conf"])


def has(peer):
    """Whether bench/setup could install it."""
    return (PEERS / {"nginx": "root/usr/sbin/nginx", "versitygw": "bin/versitygw", "minio": "bin/minio",
                     "python": "python/bin/s5cmd"}.get(peer, "none")).exists() or bool(shutil.which(peer))


def make_bucket(server, name):
    server.client().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})


def put_folder(server, folder, bucket):
    """All files of a folder, by file name, with as many connections as boto3 opens by itself."""
    s3 = server.client()
    for path in sorted(folder.iterdir()):
        s3.upload_file(str(path), bucket, path.name)


def empty_bucket(server, bucket):
    s3 = server.client()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=entry["Key"])
