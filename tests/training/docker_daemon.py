# SPDX-License-Identifier: Apache-2.0
"""A Docker daemon of the tests' own, in a network namespace of its own, and images without a registry."""
import crypt
import ctypes
import http.client
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
import urllib.parse

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def obstacle():
    """Why there can be no daemon here; None where there can."""
    if os.geteuid() != 0:
        return "a Docker daemon of the test's own needs root"
    missing = [name for name in ("dockerd", "containerd", "ip", "busybox") if not shutil.which(name)]
    return f"{missing[0]} is not installed (tools/setup)" if missing else None


class OwnNetwork:
    """This thread, and what it starts, in a network namespace with loopback alone, until leave()."""

    def __init__(self):
        self.before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        if LIBC.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

    def leave(self):
        assert LIBC.setns(self.before, CLONE_NEWNET) == 0
        os.close(self.before)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("docker")
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Daemon:
    """Keeps whole copies of file systems: overlays of overlays do not work on every host of tests."""

    def __init__(self, folder: pathlib.Path, *arguments):
        self.folder, self.arguments = folder, arguments
        self.socket = folder / "docker.sock"
        self.url = f"unix://{self.socket}"
        self.start()

    def start(self):
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            ["dockerd", "--data-root", self.folder / "data", "--exec-root", self.folder / "exec", "--pidfile",
             self.folder / "pid", "--host", self.url, "--bridge", "none", "--userland-proxy=false",
             "--storage-driver", "vfs",
             *self.arguments], stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.ask("GET", "/version")
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()[-2000:])
                time.sleep(0.05)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(60)

    def close(self):
        self.stop()
        for line in reversed(pathlib.Path("/proc/self/mounts").read_text().splitlines()):
            if line.split()[1].startswith(str(self.folder)):
                subprocess.run(["umount", "-l", line.split()[1]], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, method, path, body=None, headers=None):
        connection = UnixConnection(self.socket)
        try:
            connection.request(method, "/v1.41" + path, body, headers or {})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status >= 400:
                raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]}")
            return json.loads(text) if text.startswith((b"{", b"[")) and b"\r\n" not in text.strip() else text
        finally:
            connection.close()

    def labelled(self):
        """What bears a service's label: containers, networks and volumes."""
        query = urllib.parse.quote(json.dumps({"label": ["trainyard.service"]}))
        return (self.ask("GET", f"/containers/json?all=1&filters={query}")
                + self.ask("GET", f"/networks?filters={query}")
                + (self.ask("GET", f"/volumes?filters={query}")["Volumes"] or []))

    def containers(self, job):
        query = urllib.parse.quote(json.dumps({"label": [f"trainyard.job={job}"]}))
        return [self.ask("GET", f"/containers/{one['Id']}/json")
                for one in self.ask("GET", f"/containers/json?all=1&filters={query}")]

    def load(self, name, archive, *changes):
        """An image of a root file system, with Dockerfile instructions."""
        query = urllib.parse.urlencode({"fromSrc": "-", "repo": name, "changes": changes}, doseq=True)
        with open(archive, "rb") as file:
            self.ask("POST", f"/images/create?{query}", file, {"Content-Type": "application/x-tar"})


class Registry:
    """Debian's docker-registry on loopback, for one user with a password."""

    def __init__(self, folder: pathlib.Path, user, password):
        folder.mkdir()
        secret = crypt.crypt(password, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=1 << 5))
        (folder / "passwords").write_text(f"{user}:{secret}\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        (folder / "config.yml").write_text(
            f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
            f"http: {{addr: '{self.address}'}}\nauth: {{htpasswd: {{realm: test, path: {folder}/passwords}}}}\n")
        log = open(folder / "log", "ab")
        self.process = subprocess.Popen(["docker-registry", "serve", folder / "config.yml"], stdout=log, stderr=log)
        host, port = self.address.split(":")
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection((host, int(port))).close()
                return
            except OSError:
                assert time.monotonic() < deadline and self.process.poll() is None, (folder / "log").read_text()
                time.sleep(0.05)

    def close(self):
        self.process.kill()
        self.process.wait()


def add(tar, path, data=b"", mode=0o755, link=None, folder=False):
    entry = tarfile.TarInfo(path)
    entry.mode = mode
    if link:
        entry.type, entry.linkname = tarfile.SYMTYPE, link
    elif folder:
        entry.type = tarfile.DIRTYPE
    entry.size = 0 if link or folder else len(data)
    tar.addfile(entry, io.BytesIO(data))


def busybox_root(archive):
    """Debian's static busybox, and a /bin/train that runs what the variable SCRIPT holds."""
    tools = ("sh", "sleep", "cat", "echo", "id", "ls", "hostname", "seq", "wget", "nslookup", "ip", "nc", "dd",
             "env", "mkdir", "kill", "df", "touch", "head", "tail", "sed", "date", "usleep", "yes", "timeout", "grep", "tr")
    with tarfile.open(archive, "w") as tar:
        add(tar, ".", folder=True)
        add(tar, "tmp", folder=True, mode=0o1777)
        for folder in ("bin", "opt", "opt/ml", "opt/ml/code"):  # left out they are root's alone
            add(tar, folder, folder=True)
        add(tar, "bin/busybox", pathlib.Path(shutil.which("busybox")).read_bytes())
        for tool in tools:
            add(tar, f"bin/{tool}", link="busybox")
        add(tar, "bin/train", b'#!/bin/sh\neval "$SCRIPT"\n')
        add(tar, "opt/ml/code/of-the-image", b"here", mode=0o644)


def scratch_root(archive, source, folder):
    """One static binary and nothing else."""
    binary = folder / "train"
    subprocess.run(["g++", "-static", "-O1", "-x", "c", "-", "-o", binary], input=source.encode(), check=True)
    with tarfile.open(archive, "w") as tar:
        add(tar, "train", binary.read_bytes())


def toolkit_root(archive, environment: pathlib.Path):
    """Python of this host, with SageMaker's training toolkit as PyPI has it; `train` is its own."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = environment / f"lib/{version}/site-packages"
    unused = re.compile(r"__pycache__|/tests/|dist-packages/(sklearn|PIL|pillow|h5py)")
    python = pathlib.Path(f"/usr/bin/{version}")
    binaries = [python, pathlib.Path("/bin/bash"),
                *packages.rglob("*.so*"), *pathlib.Path(f"/usr/lib/{version}/lib-dynload").glob("*.so")]
    listed = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True).stdout
    libraries = sorted(set(re.findall(r"(?:=> |^\s+)(/(?:usr/)?lib\S+\.so\S*)", listed, re.M)))
    with tarfile.open(archive, "w") as tar:
        add(tar, ".", folder=True)
        add(tar, "tmp", folder=True, mode=0o1777)
        add(tar, "root", folder=True, mode=0o700)
        add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/bash\n", mode=0o644)
        tar.add(python, f"usr/bin/{version}")
        add(tar, "usr/bin/python", link=version)
        add(tar, "usr/bin/python3", link=version)
        tar.add("/bin/bash", "bin/bash")
        add(tar, "bin/sh", link="bash")
        add(tar, "bin/busybox", pathlib.Path(shutil.which("busybox")).read_bytes())
        add(tar, "bin/which", link="busybox")  # the toolkit calls it
        for library in libraries:
            tar.add(os.path.realpath(library), library.lstrip("/"))
        tar.add(f"/usr/lib/{version}", f"usr/lib/{version}",
                filter=lambda entry: None if "/test/" in entry.name or "__pycache__" in entry.name else entry)
        tar.add(packages, f"usr/local/lib/{version}/dist-packages",
                filter=lambda entry: None if unused.search(entry.name) else entry)
        script = (environment / "bin/train").read_text().split("\n", 1)[1]
        add(tar, "usr/local/bin/train", f"#!/usr/bin/{version}\n{script}".encode())
