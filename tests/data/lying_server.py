# SPDX-License-Identifier: Apache-2.0
"""An S3 server for GET and HEAD of objects in memory that breaks its word as it is told to."""
import base64
import dataclasses
import functools
import hashlib
import re
import socket
import ssl
import struct
import threading
import urllib.parse
import zlib

# Faults that another try gets over, and ones that are seen by a checksum only.
PASSING = ("reset", "reset_middle", "close", "truncate", "500", "503", "429", "garbage", "bad_header",
           "long_length", "short_length", "bad_length", "bad_range", "chunked", "ignore_range", "extra",
           "interim_close", "unasked_206")
STALLS = ("stall", "stall_head", "stall_middle")


@functools.cache
def digest_of(name, data):
    return struct.pack(">I", zlib.crc32(data)) if name == "crc32" else hashlib.new(name, data).digest()


@dataclasses.dataclass
class Seen:
    method: str
    path: str
    range: str
    fault: str
    sent: int = 0  # bytes of bodies


class LyingServer:
    """`fault(seen, number)` names the fault of request `number` (of all, from 0), or nothing. The first `together`
    requests are answered once all of them are there."""

    def __init__(self, objects, fault=lambda seen, number: None, checksum="crc32", certificate=None,
                 together=0):
        self.objects = {f"/bucket/{key}": data for key, data in objects.items()}
        self.fault, self.checksum = fault, checksum
        self.together = threading.Barrier(together) if together else None
        self.seen, self.lock, self.ending = [], threading.Lock(), threading.Event()
        self.sockets, self.threads = [], []
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.endpoint = f"http{'s' if certificate else ''}://127.0.0.1:{self.listener.getsockname()[1]}"
        self.threads.append(threading.Thread(target=self.accept))
        self.threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for one in self.sockets:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        for thread in self.threads:
            thread.join()

    def etag(self, key):
        data = self.objects[f"/bucket/{key}"]
        md5 = digest_of("md5", data).hex()
        return f'"{md5}"' if self.checksum == "md5" else f'"{md5}-2"'

    def sent(self, key=None):
        return sum(one.sent for one in self.seen if key is None or one.path == f"/bucket/{key}")

    def accept(self):
        while not self.ending.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self.serve, args=(connection,))
            with self.lock:
                self.sockets.append(connection)
                self.threads.append(thread)
            thread.start()

    def serve(self, connection):
        try:
            if self.context:
                plain, connection = connection, self.context.wrap_socket(connection, server_side=True)
                with self.lock:
                    self.sockets[self.sockets.index(plain)] = connection
            while self.answer(connection):
                pass
        except OSError:
            pass
        finally:
            connection.close()

    def read_head(self, connection):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = connection.recv(4096)
            if not piece:
                return None
            head += piece
        return head.decode()

    def answer(self, connection):
        head = self.read_head(connection)
        if head is None:
            return False
        method, path, _ = head.split("\r\n")[0].split(" ")
        fields = {name.lower(): value.strip() for name, value in
                  (line.split(":", 1) for line in head.split("\r\n")[1:] if line)}
        path = urllib.parse.unquote(path)
        seen = Seen(method, path, fields.get("range", ""), "")
        with self.lock:
            number = len(self.seen)
            seen.fault = self.fault(seen, number) or ""
            self.seen.append(seen)
        if self.together and number < self.together.parties:
            self.together.wait(30)
        return self.reply(connection, seen, fields)

    def headers(self, data, key, is_whole):
        lines = [f"ETag: {self.etag(key)}"]
        if is_whole and self.checksum == "crc32":
            value = base64.b64encode(digest_of("crc32", data)).decode()
            lines += [f"x-amz-checksum-crc32: {value}", "x-amz-checksum-type: FULL_OBJECT"]
        if is_whole and self.checksum == "sha256":
            value = base64.b64encode(digest_of("sha256", data)).decode()
            lines += [f"x-amz-checksum-sha256: {value}"]
        if is_whole and self.checksum == "composite":
            lines += ["x-amz-checksum-crc32: AAAAAA==-2", "x-amz-checksum-type: COMPOSITE"]
        return lines

    def refuse(self, connection, status, code, *more):
        body = f"<Error><Code>{code}</Code><Message>said the server</Message></Error>".encode()
        connection.sendall("\r\n".join([f"HTTP/1.1 {status} No", f"Content-Length: {len(body)}", *more, "", ""])
                           .encode() + body)
        return True

    def reply(self, connection, seen, fields):
        fault, data = seen.fault, self.objects.get(seen.path)
        if fault in ("reset", "close", "stall", "garbage", "endless_head"):
            return self.say_nothing_useful(connection, fault)
        if fault.isdigit():
            return self.refuse(connection, fault, {"503": "SlowDown", "404": "NoSuchKey", "403": "AccessDenied"}.get(
                fault, "InternalError"))
        if fault == "redirect":
            return self.refuse(connection, 301, "PermanentRedirect", "Location: http://other.example/")
        if data is None:
            return self.refuse(connection, 404, "NoSuchKey")
        key = seen.path.removeprefix("/bucket/")
        if fields.get("if-match", self.etag(key)) != self.etag(key):
            return self.refuse(connection, 412, "PreconditionFailed")
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", seen.range)
        if fault == "unasked_206" and not found:
            found = re.fullmatch(r"(\d+)-(\d+)", f"1-{len(data) - 1}")
        if not found or fault == "ignore_range":
            return self.send(connection, seen, 200, self.headers(data, key, True), data)
        first, last = int(found[1]), int(found[2])
        shift = 1 if fault == "bad_range" else 0
        lines = self.headers(data, key, False) + [f"Content-Range: bytes {first + shift}-{last + shift}/{len(data)}"]
        return self.send(connection, seen, 206, lines, data[first:last + 1])

    def say_nothing_useful(self, connection, fault):
        if fault == "reset":
            self.reset(connection)
        elif fault == "stall":
            self.ending.wait()
        elif fault == "garbage":
            connection.sendall(b"\x00\x01\x02 SSH-2.0-server\r\nno HTTP at all\r\n\r\n")
        elif fault == "endless_head":
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not self.ending.is_set():
                connection.sendall(b"X-More: and more\r\n" * 100)
        return False

    @staticmethod
    def reset(connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def send(self, connection, seen, status, lines, body):
        fault, length, is_cut = seen.fault, len(body), False
        if fault == "long_length":
            length, is_cut = length + 1, True
        elif fault == "short_length":
            length, is_cut = max(0, length - 1), True
        elif fault == "flip" and body:
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 4]) + body[middle + 1:]
        elif fault in ("reset_middle", "truncate", "stall_middle"):
            body, is_cut = body[:len(body) // 2], True
        lines = [f"HTTP/1.1 {status} OK", *lines]
        lines += [{"chunked": "Transfer-Encoding: chunked", "bad_length": "Content-Length: many",
                   "no_length": "Connection: close"}.get(fault, f"Content-Length: {length}")]
        lines += ["this is no header"] if fault == "bad_header" else []
        head = "\r\n".join(lines + ["", ""]).encode()
        if seen.method == "HEAD":
            connection.sendall(head)
            return True
        if fault == "stall_head":
            connection.sendall(head[:len(head) // 2])
            self.ending.wait()
            return False
        if fault == "drip":  # every byte of the head alone, and the body in two
            for at in range(len(head)):
                connection.sendall(head[at:at + 1])
            head = b""
        connection.sendall(head)
        for at in range(0, len(body), 65536):
            piece = body[at:at + 65536]
            connection.sendall(piece)
            seen.sent += len(piece)
        if fault == "extra":
            connection.sendall(b"nobody asked for this")
        if fault == "reset_middle":
            self.reset(connection)
        if fault == "stall_middle":
            self.ending.wait()
        return not is_cut and fault not in ("chunked", "no_length", "extra", "interim_close", "bad_header",
                                            "bad_length")
