# SPDX-License-Identifier: Apache-2.0
"""FastFile's FUSE tier: complete files are read by the kernel alone, whatever the daemon does meanwhile."""
import json
import mmap
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conftest import PROGRAM  # noqa: E402
from lazy import lazy_plan  # noqa: E402
from test_lazy_reads import content, place, read_all, show  # noqa: E402, F401  (two are fixtures)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="passthrough needs root")
MIB = 1 << 20


class Stopped:
    """The daemon's guardian answers nothing meanwhile."""

    def __init__(self, shown):
        self.pid = shown.process.pid

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)
        while Path(f"/proc/{self.pid}/stat").read_text().rsplit(") ", 1)[1][0] != "T":
            pass

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)


def open_direct(path):
    return os.open(path, os.O_RDONLY | os.O_DIRECT)


def is_passed(shown, descriptor):
    """Whether direct reads, which no page cache answers, need the daemon."""
    reader = threading.Thread(target=lambda: os.preadv(descriptor, [mmap.mmap(-1, 4096)], 0))
    with Stopped(shown):
        reader.start()
        reader.join(0.3)
        passed = not reader.is_alive()
    reader.join()
    return passed


def wait_until_passed(shown, path):
    """Complete, verified, and no ordinary open of it left."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        descriptor = open_direct(path)
        try:
            if is_passed(shown, descriptor):
                return
        finally:
            os.close(descriptor)
    raise AssertionError(f"{path} is never passed through")


@pytest.fixture
def need_passthrough(show, s3, bucket):  # noqa: F811
    s3.put_object(Bucket=bucket, Key="probe", Body=b"x")
    note = show(["probe"], "fuse", "probe").ready["note"]
    if "in passthrough" not in note:
        pytest.skip(note)


def test_complete_files_are_read_while_the_daemon_is_stopped(need_passthrough, show, s3, bucket):  # noqa: F811
    tree = {f"d/{size}": content(random.Random(size), size) for size in (1, 4097, 3 * MIB + 17)} | {"empty": b""}
    for key, body in tree.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    shown = show(list(tree), "fuse")
    for key in tree:
        wait_until_passed(shown, shown.tree / key)
    files = {key: [open(shown.tree / key, "rb") for _ in range(100)] for key in tree}
    with Stopped(shown):
        for key, body in tree.items():
            for file in files[key][:3] + files[key][-3:]:
                assert file.read() == body
            if body:
                with mmap.mmap(files[key][9].fileno(), 0, prot=mmap.PROT_READ) as view:
                    assert view[:] == body
        for file in sum(files.values(), []):
            file.close()
    assert {key: read_all(shown.tree / key) for key in tree} == tree


def test_a_file_that_is_open_while_it_becomes_complete_stays_as_it_is(need_passthrough, show, s3, bucket):  # noqa: F811
    body = content(random.Random(1), 128 * MIB + 5)
    s3.put_object(Bucket=bucket, Key="big", Body=body)
    shown = show(["big"], "fuse")
    os.kill(shown.hydrator(), signal.SIGSTOP)
    early = open_direct(shown.tree / "big")
    os.kill(shown.hydrator(), signal.SIGCONT)
    with open(shown.tree / "big", "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
        assert file.read() == body
        os.preadv(early, [mmap.mmap(-1, 4096)], 0)  # of a whole file: answered once it is verified
        late = open_direct(shown.tree / "big")
        assert not is_passed(shown, early) and not is_passed(shown, late)
        assert view[:] == body
        os.close(early)
        assert not is_passed(shown, late)
        os.close(late)
    wait_until_passed(shown, shown.tree / "big")
    assert read_all(shown.tree / "big") == body


@pytest.mark.parametrize("way", ["stopped", "killed"])
def test_what_is_open_in_passthrough_outlives_the_daemon(way, need_passthrough, show, s3, bucket):  # noqa: F811
    body = content(random.Random(2), 5 * MIB + 1)
    s3.put_object(Bucket=bucket, Key="a", Body=body)
    shown = show(["a"], "fuse")
    wait_until_passed(shown, shown.tree / "a")
    with open(shown.tree / "a", "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
        hydrator = shown.hydrator()
        if way == "stopped":
            assert shown.close() == 0
        else:
            shown.process.kill()
            shown.process.wait()
            with pytest.raises(OSError):
                read_all(shown.tree / "a")
            os.kill(hydrator, signal.SIGKILL)
        assert file.read() == body and view[:] == body


def test_readers_come_and_go_while_files_become_complete(need_passthrough, show, s3, bucket):  # noqa: F811
    tree = {f"{number:02}": content(random.Random(number), 2 * MIB + number) for number in range(24)}
    for key, body in tree.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    shown = show(list(tree), "fuse")
    failed = []

    def read(seed):
        choose = random.Random(seed)
        for _ in range(300):
            key = choose.choice(list(tree))
            offset = choose.randrange(2 * MIB)
            try:
                with open(shown.tree / key, "rb", buffering=0) as file:
                    if os.pread(file.fileno(), 5000, offset) != tree[key][offset:offset + 5000]:
                        failed.append((key, offset))
            except OSError as error:
                failed.append((key, offset, error))

    readers = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert failed == [] and shown.error() is None
    for key in list(tree)[::8]:
        wait_until_passed(shown, shown.tree / key)


def test_a_daemon_without_the_right_to_it_goes_on_without(show, s3, bucket):  # noqa: F811
    """Root of a user namespace may mount, and no more."""
    walls = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*walls, "true"], capture_output=True).returncode != 0:
        pytest.skip("no user namespaces here")
    body = content(random.Random(3), MIB + 1)
    s3.put_object(Bucket=bucket, Key="a", Body=body)
    shown = show(["a"], "fuse", wrapper=walls)
    assert "no passthrough: the kernel does not offer it" in shown.ready["note"]
    for _ in range(2):
        inside = subprocess.run(["nsenter", "-t", str(shown.process.pid), "--user", "--mount", "--preserve-credentials",
                                 "cat", shown.tree / "a"], capture_output=True)
        assert inside.stdout == body, inside.stderr


def test_a_trial_that_was_killed_is_cleared_away(place, service, s3, bucket):  # noqa: F811
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    plan = lazy_plan(place, service, bucket, ["a"], "fuse")
    (place / "plan.json").write_text(json.dumps(plan))
    left = Path(plan["state"]) / "trial" / "tree"
    left.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", left], check=True)
    try:
        probe = PROGRAM.parent / "hydrate_probe"
        started = subprocess.run([probe, "start", PROGRAM, place / "plan.json"], capture_output=True, text=True)
        assert started.stdout == "fuse\n", started.stderr
        assert not left.parent.exists()
        assert subprocess.run([probe, "stop", plan["state"]]).returncode == 0
    finally:
        subprocess.run(["umount", "-l", left], check=False, stderr=subprocess.DEVNULL)
