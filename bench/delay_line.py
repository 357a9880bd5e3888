# SPDX-License-Identifier: Apache-2.0
"""delay_line.py NAMESPACE MILLISECONDS: a line between this network namespace (10.77.0.1) and another (10.77.0.2) on
which each packet takes as long, in each direction. Says "ready" and runs until it is killed.

A kernel without netem needs it. Packets are of up to 65,000 bytes, so that Python can carry a gigabyte per second; no
packet is lost."""
import collections
import fcntl
import os
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
MTU = 65000


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def make_end(name, address, other, namespace=None):
    """The descriptor of a device that packets for `other` go into."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    inside = ["-n", namespace] if namespace else []
    if namespace:
        ip("link", "set", name, "netns", namespace)
        ip(*inside, "link", "set", "lo", "up")
    ip(*inside, "addr", "add", address, "peer", other, "dev", name)
    ip(*inside, "link", "set", name, "mtu", str(MTU), "txqueuelen", "20000", "up")
    return device


def carry(ends, delay):
    """Moves packets for ever; a device that is full keeps its packets waiting."""
    waiting = {end: collections.deque() for end in ends}  # by where they came from
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    while True:
        due = min((queue[0][0] for queue in waiting.values() if queue), default=None)
        pause = None if due is None else max(0, due - time.monotonic())
        for end in select.select(ends, [], [], pause)[0]:
            for _ in range(64):
                try:
                    waiting[end].append((time.monotonic() + delay, os.read(end, MTU + 100)))
                except BlockingIOError:
                    break
        now = time.monotonic()
        for end, queue in waiting.items():
            while queue and queue[0][0] <= now:
                try:
                    os.write(other[end], queue[0][1])
                except BlockingIOError:
                    break
                queue.popleft()


namespace, delay = sys.argv[1], float(sys.argv[2]) / 1000
ends = [make_end(f"line-{os.getpid() % 10000}a", "10.77.0.1", "10.77.0.2"),
        make_end(f"line-{os.getpid() % 10000}b", "10.77.0.2", "10.77.0.1", namespace)]
print("ready", flush=True)
carry(ends, delay)
