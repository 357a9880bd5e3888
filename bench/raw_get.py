# SPDX-License-Identifier: Apache-2.0
"""raw_get.py FOLDER < presigned URLs: GETs over one socket into allocated files, and nothing else."""
import json
import os
import pathlib
import socket
import sys
import time
import urllib.parse

STEP = 1 << 20
folder = pathlib.Path(sys.argv[1])
urls = [urllib.parse.urlsplit(line) for line in sys.stdin.read().split()]
begin, cpu = time.monotonic(), time.process_time()
connection = socket.create_connection((urls[0].hostname, urls[0].port))
buffer = memoryview(bytearray(STEP))
for url in urls:
    connection.sendall(f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(4096)
    head, body = head.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200"), head[:100]
    size = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    file = os.open(folder / pathlib.PurePath(url.path).name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    if size:
        os.posix_fallocate(file, 0, size)
    at = os.pwrite(file, body, 0)
    while at < size:
        count = connection.recv_into(buffer, min(STEP, size - at), socket.MSG_WAITALL)
        assert count, "the server closed"
        at += os.pwrite(file, buffer[:count], at)
    os.close(file)
print(json.dumps({"seconds": time.monotonic() - begin, "cpu": time.process_time() - cpu}))
