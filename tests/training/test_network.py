# SPDX-License-Identifier: Apache-2.0
"""Each job's own network on this machine: what its instances reach, and what they do not."""
import http.server
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from conftest import PLAIN_ARGUMENTS, PROGRAM, ROOT, Jobs, Service

OWN_ADDRESS = next((line.split()[3].split("/")[0] for line in subprocess.run(
    ["ip", "-o", "-4", "addr", "show", "scope", "global"], text=True, stdout=subprocess.PIPE).stdout.splitlines()), None) \
    if shutil.which("ip") else None


def user_service(folder, *arguments):
    """A service of an ordinary user, with its own copy of what root's folders hide."""
    if os.geteuid() != 0:
        return Service(folder, *PLAIN_ARGUMENTS, *arguments)
    if subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "unshare", "-Un",
                       "true"]).returncode != 0:
        pytest.skip("this host gives ordinary users no namespaces")
    home = folder / "home"
    home.mkdir()
    for path in (PROGRAM, ROOT / "tests/training/environments.toml", shutil.which("uv") or ROOT / "build/tools/bin/uv"):
        shutil.copy(path, home)
    subprocess.run(["chown", "-R", "65534:65534", home], check=True)
    for part in [home, *home.parents][:-2]:
        part.chmod(part.stat().st_mode | 0o055)
    return Service(home, "--environments", home / "environments.toml", "--uv", home / "uv", *arguments,
                   program=home / "trainyard", user=65534,
                   environment=os.environ | {"PATH": "/usr/bin:/bin", "HOME": str(home)})


@pytest.fixture(scope="module", params=["root", "ordinary user"])
def networked(request, tmp_path_factory):
    """A service whose jobs have networks of their own."""
    folder = tmp_path_factory.mktemp("network")
    if request.param == "root":
        if os.geteuid() != 0:
            pytest.skip("needs root")
        made = Service(folder, "--max-running-jobs", "8", *PLAIN_ARGUMENTS)
    else:
        made = user_service(folder, "--max-running-jobs", "8")
    if "JOBS SHARE THIS MACHINE'S NETWORK" in (made.folder / "server.log").read_text():
        made.close()
        pytest.skip("this host gives jobs no networks")
    yield made
    assert made.close() == 0


@pytest.fixture
def network_jobs(networked):
    return Jobs(networked)


def completed(jobs, name):
    done = jobs.wait(name)
    assert done["TrainingJobStatus"] == "Completed", (done.get("FailureReason"), jobs.lines(name)[-12:])
    return jobs.lines(name)


def several(jobs, script, count, **request):
    return jobs.start(script, ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": count,
                                              "VolumeSizeInGB": 1}, **request)


REACH = """
    import os, socket
    def reach(address, port):
        try:
            with socket.create_connection((address, port), timeout=5) as peer:
                peer.settimeout(5)
                return "reached"
        except OSError as error:
            return type(error).__name__ + " " + str(error.strerror or error)
"""


def test_an_instance_has_a_name_an_address_and_the_service(network_jobs):
    lines = completed(network_jobs, network_jobs.start("""
        import os, socket, urllib.error, urllib.request
        links = sorted(line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line)
        print("LINKS", *links)
        print("NAME", socket.gethostname(), socket.gethostbyname(socket.gethostname()))
        try:
            urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/no-bucket", timeout=10)
        except urllib.error.HTTPError as answer:
            print("SERVICE", answer.status)
        with socket.create_server(("algo-1", 22)) as low:  # as in a container
            print("PORT", low.getsockname()[1])
    """))
    assert "LINKS eth0 lo" in lines and "NAME algo-1 198.18.1.1" in lines, lines
    assert "SERVICE 403" in lines and "PORT 22" in lines, lines


def test_much_goes_through_to_the_service_and_back(network_jobs):
    """An object of 64 MiB, written and read by a script over the forwarded endpoint."""
    name = network_jobs.start("""
        import hashlib, http.client, os
        body = os.urandom(64 << 20)
        # Presigned by the test: the plain environment has no boto3.
        for method, data in (("PUT", body), ("GET", None)):
            host, path = os.environ[method].split("//")[1].split("/", 1)
            connection = http.client.HTTPConnection(host, timeout=60)
            connection.request(method, "/" + path, body=data)
            answer = connection.getresponse()
            got = answer.read()
            assert answer.status == 200, got
        assert hashlib.sha256(got).digest() == hashlib.sha256(body).digest()
        print("SAME")
    """, Environment={method: network_jobs.s3.generate_presigned_url(
        operation, {"Bucket": network_jobs.bucket, "Key": "big"}) for method, operation in
        (("PUT", "put_object"), ("GET", "get_object"))})
    assert "SAME" in completed(network_jobs, name)


@pytest.mark.parametrize("count", [2, 4])
def test_instances_of_a_job_meet_each_other(network_jobs, count):
    """All to all over TCP, each by the others' names."""
    name = several(network_jobs, """
        import json, os, socket, threading, time
        hosts, me = json.loads(os.environ["SM_HOSTS"]), os.environ["SM_CURRENT_HOST"]
        listener = socket.create_server((socket.gethostbyname(me), 7000))
        met = []
        def serve():
            for _ in hosts:
                peer, where = listener.accept()
                met.append((peer.recv(100).decode(), where[0]))
                peer.close()
        server = threading.Thread(target=serve)
        server.start()
        for host in hosts:
            while True:
                try:
                    with socket.create_connection((host, 7000), timeout=30) as peer:
                        peer.sendall(me.encode())
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
        server.join(60)
        assert sorted(met) == sorted((host, socket.gethostbyname(host)) for host in hosts), met
        print("MET", me, len(met))
    """, count)
    lines = completed(network_jobs, name)
    assert sorted(line for line in lines if line.startswith("MET")) == [
        f"MET algo-{i + 1} {count}" for i in range(count)]


def test_a_job_reaches_neither_another_job_nor_the_hosts_loopback_nor_a_clouds_metadata(network_jobs):
    other = network_jobs.start("""
        import socket, time
        listeners = [socket.create_server((address, 7001)) for address in ("algo-1", "127.0.0.1")]
        hidden = socket.socket(socket.AF_UNIX)
        hidden.bind("\\0trainyard-other-job")
        hidden.listen()
        print("listening", flush=True)
        time.sleep(1000)
    """)
    network_jobs.wait_for_line(other, "listening")
    try:
        with socket.create_server(("127.0.0.1", 0)) as host:
            name = network_jobs.start(REACH + f"""
    for address, port in (("algo-1", 7001), ("127.0.0.1", 7001), ("198.18.1.2", 7001), ("127.0.0.1",
                          {host.getsockname()[1]}), ("198.18.0.2", {host.getsockname()[1]}), ("198.18.0.3",
                          {host.getsockname()[1]}), ("169.254.169.254", 80), ("169.254.170.2", 80)):
        print("TRIED", address, port, reach(address, port))
    try:
        socket.socket(socket.AF_UNIX).connect("\\0trainyard-other-job")
        print("TRIED unix reached")
    except OSError as error:
        print("TRIED unix", error.strerror)
    for path in ("/root", "/var/lib", "/home", {str(network_jobs.service.folder)!r} + "/data"):
        try:
            print("LISTED", path, os.listdir(path))
        except OSError as error:
            print("LISTED", path, error.strerror)
    readable = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            readable += [open("/proc/" + number + "/environ", "rb").read()]
        except OSError:
            pass
    me = os.environ["AWS_ACCESS_KEY_ID"].encode()
    import re
    print("KEYS", set(re.findall(rb"AWS_ACCESS_KEY_ID=([A-Z0-9]+)", b"".join(readable))) <= {{me}})
""")
            lines = completed(network_jobs, name)
        tried = [line for line in lines if line.startswith("TRIED")]
        assert len(tried) == 9 and not any("reached" in line for line in tried), tried
        assert "TRIED unix Connection refused" in tried
        listed = {line.split()[1]: line for line in lines if line.startswith("LISTED")}
        assert listed["/home"] == "LISTED /home ['job']"
        # What is there of the data dir is this job's way to its own layer.
        data = listed[f"{network_jobs.service.folder}/data"]
        assert "objects" not in data and "credentials.json" not in data, data
        assert "KEYS True" in lines
    finally:
        network_jobs.sagemaker.stop_training_job(TrainingJobName=other)
        network_jobs.wait(other)


@pytest.mark.skipif(OWN_ADDRESS is None, reason="this host has no address but its loopback")
def test_other_machines_are_reached_unless_the_job_is_isolated(network_jobs):
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"outside")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer((OWN_ADDRESS, 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        script = REACH + f"""
    print("OUTSIDE", reach({OWN_ADDRESS!r}, {server.server_address[1]}))
    print("KEY", "AWS_ACCESS_KEY_ID" in os.environ, "AWS_ENDPOINT_URL" in os.environ)
"""
        isolated = network_jobs.start(script, EnableNetworkIsolation=True)
        free = network_jobs.start(script)
        lines = completed(network_jobs, isolated)
        assert "OUTSIDE OSError Network is unreachable" in lines and "KEY False False" in lines, lines
        lines = completed(network_jobs, free)
        why = [line for line in lines if "this job reaches no other machines" in line]
        if why:
            pytest.skip(why[0])
        assert "OUTSIDE reached" in lines and "KEY True True" in lines, lines
        server.shutdown()


def test_isolated_instances_meet_each_other_and_not_the_service(network_jobs):
    service = network_jobs.service.port
    name = several(network_jobs, REACH + f"""
    import time
    if os.environ["SM_CURRENT_HOST"] == "algo-2":
        with socket.create_server(("algo-2", 7000)) as listener:
            listener.accept()
    else:
        while reach("algo-2", 7000) != "reached":
            time.sleep(0.05)
        print("MET")
    print("SERVICE", reach("127.0.0.1", {service}))
""", 2, EnableNetworkIsolation=True)
    lines = completed(network_jobs, name)
    assert "MET" in lines and lines.count("SERVICE ConnectionRefusedError Connection refused") == 2, lines


def holders_of(service, name):
    """The processes that keep the networks of a job: the holder and what it started."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"network" in words and any(f"/{name}/".encode() in word for word in words):
            found.append(int(path.parent.name))
    return found


def test_a_network_that_is_lost_ends_the_job_with_its_reason(network_jobs):
    name = network_jobs.start("print('here', flush=True)\nimport time; time.sleep(1000)")
    network_jobs.wait_for_line(name, "here")
    [holder] = holders_of(network_jobs.service, name)
    os.kill(holder, signal.SIGKILL)
    done = network_jobs.wait(name, seconds=30)
    assert done["TrainingJobStatus"] == "Failed" and "the job's network was lost" in done["FailureReason"], done


def test_the_network_outlives_a_killed_server_and_nothing_of_it_outlives_the_job(own_service):
    service = own_service(*PLAIN_ARGUMENTS)
    if not service.has_walls:
        pytest.skip("this host forbids namespaces")
    jobs = Jobs(service)
    name = jobs.start("""
        import os, time, urllib.error, urllib.request
        print("here", flush=True)
        while not os.path.exists("/tmp/go"):
            time.sleep(0.02)
        for attempt in range(200):
            try:
                urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/x", timeout=5)
            except urllib.error.HTTPError as answer:
                print("SERVICE", answer.status)
                break
            except OSError:
                time.sleep(0.05)
    """)
    jobs.wait_for_line(name, "here")
    [holder] = holders_of(service, name)
    service.kill()
    service.start()
    assert holders_of(service, name) == [holder]
    (service.folder / "data/jobs" / name / "1/algo-1/tmp/go").touch()
    assert "SERVICE 403" in completed(jobs, name)
    deadline = time.monotonic() + 30
    while holders_of(service, name) or (service.folder / "data/jobs" / name).exists():
        assert time.monotonic() < deadline, holders_of(service, name)
        time.sleep(0.02)


def test_twenty_networks_at_once(own_service):
    service = own_service("--max-running-jobs", "20", *PLAIN_ARGUMENTS)
    if not service.has_walls:
        pytest.skip("this host forbids namespaces")
    jobs = Jobs(service)
    names = [jobs.start("""
        import os, socket, time
        print("here", socket.gethostbyname("algo-1"), flush=True)
        while not os.path.exists("/tmp/go"):
            time.sleep(0.05)
    """) for _ in range(20)]
    for name in names:
        jobs.wait_for_line(name, "here 198.18.1.1", seconds=120)
    for name in names:
        (service.folder / "data/jobs" / name / "1/algo-1/tmp/go").touch()
    for name in names:
        completed(jobs, name)


def test_jobs_share_the_hosts_network_where_that_is_set(own_service):
    service = own_service("--job-network", "host", *PLAIN_ARGUMENTS)
    jobs = Jobs(service)
    with socket.create_server(("127.0.0.1", 0)) as host:
        lines = completed(jobs, jobs.start(REACH + f"""
    print("HOST", reach("127.0.0.1", {host.getsockname()[1]}))
"""))
    assert "HOST reached" in lines
    done = jobs.wait(several(jobs, "print('never')", 2))
    assert done["TrainingJobStatus"] == "Failed" and "job-network is \"host\"" in done["FailureReason"], done
