# SPDX-License-Identifier: Apache-2.0
"""FastFile: files whose bytes come on first read hold the objects' bytes for every way to read, from
several processes, also while the process that fetches is killed again and again: never a page of zeros."""
import contextlib
import json
import mmap
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid

import pytest

from conftest import PROGRAM
from lazy import Lazy, lazy_plan

FOLDER = pathlib.Path(__file__).parent
TIERS = ["fanotify", "fuse"]
SEED = int(os.environ.get("TRAINYARD_SEED", "20261125"))
CASES = int(os.environ.get("TRAINYARD_LAZY_CASES", "2400"))  # reads per tier and test

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="fanotify's pre-content marks and mounts need root")


@pytest.fixture
def place(tmp_path, request):
    """A folder on the disk of the checkout: /tmp may be a tmpfs, which takes no marks."""
    folder = FOLDER.parent.parent / "build" / f"lazy-{uuid.uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    yield folder
    for state in folder.rglob("state"):  # of a test that failed
        if (state / "hydrator").exists():
            with contextlib.suppress(ProcessLookupError):
                os.kill(json.loads((state / "hydrator").read_text())["pid"], signal.SIGKILL)
        subprocess.run(["umount", "-l", state.parent / "tree"], check=False, stderr=subprocess.DEVNULL)
    subprocess.run(["rm", "-rf", folder], check=True)


@pytest.fixture
def show(place, service, bucket):
    """A factory of daemons, ended with the test."""
    made = []

    def make(keys, tier, name="one", **options):
        made.append(Lazy(place / name, service, bucket, keys, tier, **options))
        assert made[-1].ready["tier"] == tier
        return made[-1]

    yield make
    for one in made:
        if one.process.poll() is None:
            assert one.close() == 0


def content(choose, size):
    """Bytes without a zero byte, so that a page which never came is seen whatever the read's length."""
    block = choose.randbytes(min(size, 33 << 20)).replace(b"\0", b"\1")
    return (block * (size // max(1, len(block)) + 1))[:size]


def put_random_tree(choose, s3, bucket, count, largest):
    """{key: bytes}: folders, odd names, sizes around the borders of pages and chunks."""
    borders = [0, 1, 4095, 4096, 4097, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20]
    tree = {}
    for number in range(count):
        folder = choose.choice(["", "a/", "a/b/", "train/", "x y/ü/"])
        size = choose.choice(borders + [choose.randrange(largest) for _ in borders])
        tree[f"{folder}{choose.choice(['part', 'file ', '☃'])}-{number}"] = content(choose, size)
    for key, body in tree.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    return tree


def start_reader(folder, tree, seed, cases, report):
    return subprocess.Popen([sys.executable, FOLDER / "reader.py", folder, tree, str(seed), str(cases), report])


def read_with_processes(place, shown, tree, cases, while_running=lambda: None, processes=4):
    """Each process makes its own random reads and compares; returns how many."""
    model = place / f"model-{uuid.uuid4().hex[:6]}"
    for key, body in tree.items():
        (model / key).parent.mkdir(parents=True, exist_ok=True)
        (model / key).write_bytes(body)
    reports = [place / f"report-{uuid.uuid4().hex[:6]}" for _ in range(processes)]
    readers = [start_reader(model, shown, SEED + number, cases // processes, report)
               for number, report in enumerate(reports)]
    while any(reader.poll() is None for reader in readers):
        while_running()
        time.sleep(0.01)
    results = [json.loads(report.read_text()) for report in reports]
    assert [result["wrong"] for result in results] == [[]] * processes
    return sum(result["cases"] for result in results)


@pytest.mark.parametrize("tier", TIERS)
def test_every_way_to_read_gives_the_objects_bytes(tier, show, place, s3, bucket):
    choose = random.Random(SEED)
    cases = 0
    for number in range(4):
        tree = put_random_tree(choose, s3, bucket, 20, 6 << 20)
        shown = show(list(tree), tier, f"tree-{number}")
        cases += read_with_processes(place, shown.tree, tree, CASES // 4)
        found = {str(path.relative_to(shown.tree)): path.read_bytes()
                 for path in shown.tree.rglob("*") if path.is_file()}
        assert found == tree
        assert shown.error() is None
        assert shown.close() == 0
    assert cases == CASES


@pytest.mark.parametrize("tier", TIERS)
def test_readers_never_see_zeros_while_the_hydrator_is_killed(tier, show, place, s3, bucket):
    choose = random.Random(SEED + 1)
    killed = 0
    cases = 0
    for number in range(4):
        tree = put_random_tree(choose, s3, bucket, 16, 24 << 20)
        shown = show(list(tree), tier, f"tree-{number}")
        last = time.monotonic()

        def kill():
            nonlocal killed, last
            if time.monotonic() - last < 0.05:
                return
            last = time.monotonic()
            try:
                shown.kill_hydrator()
                killed += 1
            except ProcessLookupError:
                pass  # its successor is not recorded yet

        cases += read_with_processes(place, shown.tree, tree, CASES // 4, kill)
        assert shown.error() is None
        assert shown.close() == 0
    assert cases == CASES and killed > 8


def read_all(path):
    with open(path, "rb") as file:
        return file.read()


@pytest.mark.parametrize("tier", TIERS)
def test_an_object_replaced_since_is_an_error_with_its_name(tier, show, s3, bucket):
    choose = random.Random(SEED)
    s3.put_object(Bucket=bucket, Key="a", Body=b"x" * 100)
    s3.put_object(Bucket=bucket, Key="b", Body=content(choose, 64 << 20))
    shown = show(["b", "a"], tier, before_start=lambda: s3.put_object(Bucket=bucket, Key="b", Body=b"other"))
    with pytest.raises(OSError) as refused:
        read_all(shown.tree / "b")
    assert refused.value.errno == 5
    assert shown.error()["object"] == f"s3://{bucket}/b"
    assert shown.error()["offset"] == 0 and "PreconditionFailed" in shown.error()["cause"]
    assert read_all(shown.tree / "a") == b"x" * 100


@pytest.mark.parametrize("tier", TIERS)
def test_a_vanished_object_is_an_error_with_its_name(tier, show, s3, bucket):
    s3.put_object(Bucket=bucket, Key="gone", Body=b"x" * (20 << 20))
    shown = show(["gone"], tier, before_start=lambda: s3.delete_object(Bucket=bucket, Key="gone"))
    with pytest.raises(OSError) as refused:
        read_all(shown.tree / "gone")
    assert refused.value.errno == 5
    assert shown.error()["object"] == f"s3://{bucket}/gone"


def test_the_guardians_death_ends_reads_with_an_error_not_with_zeros(show, s3, bucket):
    body = content(random.Random(SEED), 256 << 20)
    s3.put_object(Bucket=bucket, Key="big", Body=body)
    shown = show(["big"], "fanotify")
    os.kill(shown.hydrator(), signal.SIGSTOP)
    outcome = []

    def read():
        try:
            with open(shown.tree / "big", "rb") as file:
                file.seek(200 << 20)
                outcome.append(file.read(4096))
        except OSError as error:
            outcome.append(error.errno)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    hydrator = shown.hydrator()
    shown.process.kill()
    shown.process.wait()
    os.kill(hydrator, signal.SIGCONT)
    for reader in readers:
        reader.join(60)
    # A chunk that had come is right; what had not is an error, or the end of a file cut short.
    assert len(outcome) == 4
    assert all(one in (5, b"", body[200 << 20:(200 << 20) + 4096]) for one in outcome)
    with pytest.raises(OSError):
        for offset in range(0, 256 << 20, 1 << 20):
            with open(shown.tree / "big", "rb") as file:
                piece = os.pread(file.fileno(), 4096, offset)
                assert piece in (b"", body[offset:offset + 4096])
    assert "guardian" in shown.error()["cause"]
    os.kill(hydrator, signal.SIGKILL)


@pytest.mark.parametrize("tier", TIERS)
def test_stopping_leaves_no_zeros_behind(tier, show, s3, bucket):
    body = content(random.Random(SEED), 128 << 20)
    s3.put_object(Bucket=bucket, Key="big", Body=body)
    shown = show(["big"], tier)
    os.kill(shown.hydrator(), signal.SIGSTOP)
    with open(shown.tree / "big", "rb") as file:
        assert shown.close() == 0
        for offset in range(0, 128 << 20, 1 << 20):
            try:
                piece = os.pread(file.fileno(), 4096, offset)
            except OSError:
                continue
            assert piece in (b"", body[offset:offset + 4096])


def test_a_hydrator_that_always_dies_is_given_up_with_an_error(show, s3, bucket):
    s3.put_object(Bucket=bucket, Key="big", Body=b"x" * (64 << 20))
    shown = show(["big"], "fanotify")
    stop = threading.Event()

    def kill_each():
        while not stop.is_set():
            try:
                shown.kill_hydrator()
            except (ProcessLookupError, ValueError):
                pass

    shown.kill_hydrator()
    killer = threading.Thread(target=kill_each)
    killer.start()
    try:
        # Either it is given up, or it came through between two deaths: right bytes or an error.
        assert read_all(shown.tree / "big") == b"x" * (64 << 20)
    except OSError as error:
        assert error.errno == 5 and shown.error()["object"] == f"s3://{bucket}/big"
    finally:
        stop.set()
        killer.join()


def test_mappings_made_before_the_bytes_are_there_show_them(show, s3, bucket):
    body = content(random.Random(SEED), 9 << 20)
    s3.put_object(Bucket=bucket, Key="mapped", Body=body)
    shown = show(["mapped"], "fanotify")
    with open(shown.tree / "mapped", "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
        assert view[8 << 20:] == body[8 << 20:]
        assert view[:] == body


@pytest.mark.parametrize("tier", TIERS)
def test_bytes_that_do_not_match_the_checksum_are_denied(tier, show, service, s3, bucket):
    body = content(random.Random(SEED), (5 << 20) + 17)
    s3.put_object(Bucket=bucket, Key="rotten", Body=body)
    stored = next(path for path in (service.folder / "data").rglob("*")
                  if path.is_file() and path.stat().st_size == len(body) and path.read_bytes() == body)
    with open(stored, "r+b") as file:
        file.seek(3 << 20)
        file.write(bytes([body[3 << 20] ^ 1]))
    shown = show(["rotten"], tier)
    deadline = time.monotonic() + 60
    while shown.error() is None:  # found when the last chunk has come, which no reader needs to wait for
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert shown.error()["object"] == f"s3://{bucket}/rotten" and "CRC" in shown.error()["cause"]
    with pytest.raises(OSError) as refused:
        read_all(shown.tree / "rotten")
    assert refused.value.errno == 5


@pytest.mark.parametrize("tier", TIERS)
def test_a_server_that_falls_silent_is_an_error_after_the_stall_timeout(tier, show, s3, bucket):
    s3.put_object(Bucket=bucket, Key="big", Body=b"x" * (8 << 20))
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        shown = show(["big"], tier, stall_seconds=1, endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(OSError) as refused:
            read_all(shown.tree / "big")
        assert refused.value.errno == 5
        assert shown.error() == {"object": f"s3://{bucket}/big", "offset": 0, "cause": "no byte came for 1 s"}


@pytest.mark.parametrize("tier", TIERS)
def test_a_server_that_cuts_each_answer_short_is_resumed(tier, show, service, s3, bucket):
    body = content(random.Random(SEED), 6 << 20)
    s3.put_object(Bucket=bucket, Key="big", Body=body)
    with Cutting(service.port, random.Random(SEED)) as cutting:
        shown = show(["big"], tier, endpoint=f"http://127.0.0.1:{cutting.port}")
        assert read_all(shown.tree / "big") == body
        assert cutting.cuts > 2 and shown.error() is None


class Cutting:
    """A relay that closes connections after some hundred KiB."""

    def __init__(self, target, choose):
        self.target, self.choose, self.cuts = target, choose, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.relay, args=(client, self.choose.randrange(1, 3 << 20)), daemon=True).start()

    def relay(self, client, budget):
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            try:
                while True:
                    request = b""
                    while b"\r\n\r\n" not in request:
                        piece = client.recv(65536)
                        if not piece:
                            return
                        request += piece
                    server.sendall(request)
                    server.settimeout(0.5)
                    try:
                        while piece := server.recv(65536):
                            client.sendall(piece[:budget])
                            budget -= len(piece)
                            if budget <= 0:
                                self.cuts += 1
                                return
                    except TimeoutError:
                        pass  # the answer is over: the next request
            except OSError:
                pass


@pytest.mark.parametrize("tier", TIERS)
def test_more_files_than_a_process_may_open_are_shown(tier, show, s3, bucket):
    """Those beyond it are opened when they are written, behind their marks."""
    tree = {f"f{number}": content(random.Random(number), 5000) for number in range(150)}
    for key, body in tree.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    tree["large"] = content(random.Random(SEED), 40 << 20)
    s3.put_object(Bucket=bucket, Key="large", Body=tree["large"])
    shown = show(list(tree), tier, wrapper=["prlimit", "--nofile=200", "setpriv", "--bounding-set", "-sys_resource"])
    assert {key: read_all(shown.tree / key) for key in reversed(tree)} == tree
    assert shown.error() is None


@pytest.mark.parametrize("tier", TIERS)
def test_a_walled_off_reader_of_another_user_sees_the_bytes(tier, show, place, s3, bucket):
    body = content(random.Random(SEED), 3 << 20)
    s3.put_object(Bucket=bucket, Key="a/b", Body=body)
    shown = show(["a/b"], tier)
    walls = ["bwrap", "--ro-bind", "/", "/", "--tmpfs", "/opt", "--ro-bind", shown.tree, "/opt/data",
             "--unshare-user", "--uid", "12345", "--unshare-pid", "--unshare-ipc", "--die-with-parent"]
    probe = subprocess.run([*walls, "true"], capture_output=True)
    if probe.returncode != 0:
        pytest.skip(f"bwrap does not work here: {probe.stderr.decode()}")
    inside = subprocess.run([*walls, "sh", "-c", "cat /opt/data/a/b; cp /opt/data/a/b /opt/x; "
                                                 "cmp /opt/x /opt/data/a/b || echo differs; "
                                                 "{ : > /opt/data/a/b; } 2>/dev/null && echo written"],
                            capture_output=True)
    assert inside.stdout == body


def test_the_library_starts_finds_and_stops_a_daemon(place, service, s3, bucket):
    """As the agent does, through hydrate_probe."""
    probe = PROGRAM.parent / "hydrate_probe"
    s3.put_object(Bucket=bucket, Key="a", Body=b"x" * 5000)
    plan = lazy_plan(place, service, bucket, ["a"], "auto")
    (place / "plan.json").write_text(json.dumps(plan))

    def ask(*arguments):
        return subprocess.run([probe, *arguments], capture_output=True, text=True, check=False)

    assert ask("find", plan["state"]).stdout == "none\n"
    started = ask("start", PROGRAM, place / "plan.json")
    assert started.stdout == "fanotify\n", started.stderr
    assert not (pathlib.Path(plan["state"]) / "plan.json").exists()  # it held credentials
    again = ask("start", PROGRAM, place / "plan.json")
    assert again.returncode == 1 and "serves" in again.stderr
    assert read_all(pathlib.Path(plan["tree"]) / "a") == b"x" * 5000
    pid = int(ask("find", plan["state"]).stdout)
    assert ask("error", plan["state"]).stdout == "none\n"
    assert ask("stop", plan["state"]).returncode == 0
    assert ask("find", plan["state"]).stdout == "none\n" and not pathlib.Path(f"/proc/{pid}/root").exists()
    # One that was killed leaves a record, a new one takes its place.
    assert ask("start", PROGRAM, place / "plan.json").stdout == "fanotify\n"
    os.kill(int(ask("find", plan["state"]).stdout), signal.SIGKILL)
    deadline = time.monotonic() + 30
    while ask("error", plan["state"]).stdout == "none\n":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "guardian" in ask("error", plan["state"]).stdout
    assert ask("find", plan["state"]).stdout == "none\n"
    assert ask("stop", plan["state"]).returncode == 0
    plan["tier"] = "fuse"
    (place / "plan.json").write_text(json.dumps(plan))
    assert ask("start", PROGRAM, place / "plan.json").stdout == "fuse\n"
    assert ask("stop", plan["state"]).returncode == 0 and not os.path.ismount(plan["tree"])
    assert ask("start", PROGRAM, place / "plan.json").stdout == "fuse\n"
    os.kill(int(ask("find", plan["state"]).stdout), signal.SIGKILL)
    while ask("find", plan["state"]).stdout != "none\n":
        pass  # dying
    over = ask("start", PROGRAM, place / "plan.json")  # over the dead mount
    assert over.stdout == "fuse\n", over.stderr
    assert read_all(pathlib.Path(plan["tree"]) / "a") == b"x" * 5000
    assert ask("stop", plan["state"]).returncode == 0
    # A channel without files is an empty folder.
    for tier in TIERS:
        (place / "plan.json").write_text(json.dumps(plan | {"files": [], "tier": tier}))
        assert ask("start", PROGRAM, place / "plan.json").stdout == f"{tier}\n"
        assert os.listdir(plan["tree"]) == []
        assert ask("stop", plan["state"]).returncode == 0
    # More than any disk holds.
    plan["files"][0]["size"] = 1 << 60
    (place / "plan.json").write_text(json.dumps(plan))
    full = ask("start", PROGRAM, place / "plan.json")
    assert full.returncode == 1 and "free on the disk" in full.stderr


def test_a_disk_that_takes_no_marks_gets_the_second_tier_and_says_why(service, s3, bucket):
    memory = pathlib.Path("/dev/shm")
    kind = subprocess.run(["stat", "-f", "-c", "%T", memory], capture_output=True, text=True, check=False).stdout
    if kind.strip() != "tmpfs":
        pytest.skip("/dev/shm is no tmpfs here")
    s3.put_object(Bucket=bucket, Key="a", Body=b"x" * 5000)
    folder = memory / f"lazy-{uuid.uuid4().hex[:8]}"
    shown = Lazy(folder, service, bucket, ["a"], "auto")
    try:
        assert shown.ready["tier"] == "fuse"
        assert "fanotify: " in shown.ready["note"] and "not supported" in shown.ready["note"]
        assert read_all(shown.tree / "a") == b"x" * 5000
    finally:
        assert shown.close() == 0
        subprocess.run(["rm", "-rf", folder], check=True)


def test_readers_below_a_stopped_service_get_an_error_or_the_bytes(place, own_service):
    """The store goes away: what has come stays, the rest is EIO with the object's name."""
    service = own_service()
    s3 = service.client("s3")
    s3.create_bucket(Bucket="going", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    body = content(random.Random(SEED), 128 << 20)
    s3.put_object(Bucket="going", Key="big", Body=body)
    shown = Lazy(place / "one", service, "going", ["big"], "fanotify", stall_seconds=2)
    try:
        os.kill(shown.hydrator(), signal.SIGSTOP)
        service.kill()
        shown.kill_hydrator()
        refused = 0
        with open(shown.tree / "big", "rb", buffering=0) as file:
            for offset in (0, 64 << 20, 127 << 20):
                try:
                    assert os.pread(file.fileno(), 4096, offset) == body[offset:offset + 4096]
                except OSError as error:
                    assert error.errno == 5
                    refused += 1
        assert refused > 0 and shown.error()["object"] == "s3://going/big"
        service.start()  # a store that is back serves the next read
        assert read_all(shown.tree / "big") == body
    finally:
        assert shown.close() == 0


def test_a_daemon_can_be_found_before_it_has_read_its_plan(tmp_path):
    """By an agent that takes the place of one that was killed meanwhile."""
    state = tmp_path / "state"
    state.mkdir()
    os.mkfifo(state / "plan.json")  # nobody writes into it: the daemon gets no further
    daemon = subprocess.Popen([PROGRAM, "hydrate", state / "plan.json"])
    try:
        deadline = time.monotonic() + 30
        while not (state / "guardian").exists():
            assert daemon.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        assert json.loads((state / "guardian").read_text())["pid"] == daemon.pid
    finally:
        daemon.kill()
        daemon.wait()
