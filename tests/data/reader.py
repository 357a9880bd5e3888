# SPDX-License-Identifier: Apache-2.0
"""reader.py MODEL TREE SEED CASES REPORT: random reads of TREE's files, each compared with the same file below
MODEL; the report says how many and which were wrong."""
import ctypes
import filecmp
import json
import mmap
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile

MODEL, TREE = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
CHOOSE = random.Random(int(sys.argv[3]))
CASES = int(sys.argv[4])
REPORT = pathlib.Path(sys.argv[5])
FILES = sorted(str(path.relative_to(MODEL)) for path in MODEL.rglob("*") if path.is_file())
LIBC = ctypes.CDLL(None, use_errno=True)


def some_range(size):
    offset = CHOOSE.randrange(size + 1)
    return offset, CHOOSE.choice([1, 4096, 4097, 65536, 1 << 20, 3 << 20, CHOOSE.randrange(1, 2 << 20)])


def expect(name, offset, length):
    with open(MODEL / name, "rb") as file:
        return os.pread(file.fileno(), length, offset)


def full_pread(descriptor, length, offset):
    pieces = []
    while length > 0:
        piece = os.pread(descriptor, length, offset)
        if not piece:
            break
        pieces.append(piece)
        offset, length = offset + len(piece), length - len(piece)
    return b"".join(pieces)


def by_read(name):
    """From start to end in one step size, as readers of records do."""
    step = CHOOSE.choice([4096, 65536, 262144, 1 << 20])
    with open(TREE / name, "rb", buffering=0) as file:
        pieces = iter(lambda: file.read(step), b"")
        return b"".join(pieces) == (MODEL / name).read_bytes()


def by_pread(name):
    offset, length = some_range(os.path.getsize(MODEL / name))
    with open(TREE / name, "rb") as file:
        return full_pread(file.fileno(), length, offset) == expect(name, offset, length)


def by_mmap(name):
    size = os.path.getsize(MODEL / name)
    if size == 0:
        return True
    start = CHOOSE.randrange(size) // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
    length = CHOOSE.randrange(1, size - start + 1)
    kind = CHOOSE.choice([mmap.MAP_SHARED, mmap.MAP_PRIVATE])
    with open(TREE / name, "rb") as file, mmap.mmap(file.fileno(), length, flags=kind, prot=mmap.PROT_READ,
                                                    offset=start) as view:
        return view[:] == expect(name, start, length)


def by_sendfile(name):
    offset, length = some_range(os.path.getsize(MODEL / name))
    wanted = expect(name, offset, length)
    ours, theirs = socket.socketpair()
    with ours, theirs, open(TREE / name, "rb") as file:
        got = b""
        while len(got) < len(wanted):
            count = os.sendfile(ours.fileno(), file.fileno(), offset + len(got), min(65536, len(wanted) - len(got)))
            if count == 0:
                return False
            got += theirs.recv(count, socket.MSG_WAITALL)
        return got == wanted


def by_copy_file_range(name):
    offset, length = some_range(os.path.getsize(MODEL / name))
    wanted = expect(name, offset, length)
    with open(TREE / name, "rb") as file, tempfile.TemporaryFile(dir=REPORT.parent) as copy:
        done = 0
        while done < len(wanted):
            try:
                count = os.copy_file_range(file.fileno(), copy.fileno(), len(wanted) - done, offset + done, done)
            except OSError as error:
                if error.errno != 18:  # EXDEV: another file system, as cp finds out, too
                    raise
                return True
            if count == 0:
                return False
            done += count
        return os.pread(copy.fileno(), len(wanted) + 1, 0) == wanted


def by_splice(name):
    offset, length = some_range(os.path.getsize(MODEL / name))
    wanted = expect(name, offset, min(length, 65536))
    source, sink = os.pipe()
    try:
        with open(TREE / name, "rb") as file:
            got = b""
            while len(got) < len(wanted):
                at = ctypes.c_longlong(offset + len(got))
                count = LIBC.splice(file.fileno(), ctypes.byref(at), sink, None, len(wanted) - len(got), 0)
                if count <= 0:
                    return False
                got += os.read(source, count)
            return got == wanted
    finally:
        os.close(source)
        os.close(sink)


def by_direct(name):
    size = os.path.getsize(MODEL / name)
    offset = CHOOSE.randrange(size + 1) // 4096 * 4096
    length = CHOOSE.choice([4096, 65536, 1 << 20])
    descriptor = os.open(TREE / name, os.O_RDONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, length) as buffer:
            count = os.preadv(descriptor, [buffer], offset)
            wanted = expect(name, offset, length)
            return count == len(wanted) and buffer[:count] == wanted
    finally:
        os.close(descriptor)


def by_cp(name):
    with tempfile.TemporaryDirectory(dir=REPORT.parent) as folder:
        how = CHOOSE.choice([[], ["--sparse=always"], ["--reflink=never"]])
        subprocess.run(["cp", *how, TREE / name, f"{folder}/copy"], check=True)
        return filecmp.cmp(f"{folder}/copy", MODEL / name, shallow=False)


def by_tar(name):
    with tempfile.TemporaryDirectory(dir=REPORT.parent) as folder:
        subprocess.run(["tar", "-C", TREE, "-S", "-cf", f"{folder}/t.tar", "--", name], check=True)
        subprocess.run(["tar", "-C", folder, "-xf", f"{folder}/t.tar"], check=True)
        return filecmp.cmp(f"{folder}/{name}", MODEL / name, shallow=False)


def by_blocks(name):
    """No fewer blocks than bytes: cp and tar do not look for holes then."""
    status = os.stat(TREE / name)
    return status.st_size == os.path.getsize(MODEL / name) and status.st_blocks * 512 >= status.st_size


CHEAP = [by_read, by_pread, by_pread, by_pread, by_mmap, by_sendfile, by_copy_file_range, by_splice, by_direct,
         by_blocks]
DEAR = [by_cp, by_tar]

wrong = []
for case in range(CASES):
    way = CHOOSE.choice(DEAR) if CHOOSE.random() < 0.05 else CHOOSE.choice(CHEAP)
    name = CHOOSE.choice(FILES)
    try:
        is_right = way(name)
    except (OSError, subprocess.CalledProcessError) as error:
        is_right = False
        name = f"{name}: {error}"
    if not is_right:
        wrong.append([case, way.__name__, name])
REPORT.write_text(json.dumps({"cases": CASES, "wrong": wrong}))
