# SPDX-License-Identifier: Apache-2.0
"""Start of a job, delay of a log line, start and size of the server, against the same things by hand.

    build/client/bin/python bench/control.py [--rounds 15]

Prints medians in milliseconds; nothing is asserted.
"""
import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from conftest import PLAIN_ARGUMENTS, PROGRAM, Jobs, Service  # noqa: E402

FIRST_LINE = "import time; print('first', time.time(), flush=True)"


def number_after(lines, word):
    return float(next(line for line in lines if line.startswith(word)).split()[1])


def job_start(jobs, rounds):
    """From just before CreateTrainingJob to the script's first statement."""
    taken = []
    for _ in range(rounds):
        begin = time.time()
        name = jobs.start(FIRST_LINE)
        jobs.wait(name)
        # start() uploads the source first: count from the job's creation.
        created = jobs.describe(name)["CreationTime"].timestamp()
        assert created >= begin
        taken.append((number_after(jobs.lines(name), "first") - created) * 1000)
    return taken


def python_by_hand(rounds):
    """The same interpreter and statement without a service."""
    taken = []
    environments = ROOT / "build/test-environments"
    python = next(environments.glob("plain-*/bin/python"))
    for _ in range(rounds):
        begin = time.time()
        line = subprocess.run([python, "-c", FIRST_LINE], stdout=subprocess.PIPE, text=True).stdout
        taken.append((float(line.split()[1]) - begin) * 1000)
    return taken


def log_delay(jobs, rounds):
    """From print() to GetLogEvents' answer."""
    name = jobs.start(f"""
        import time
        for _ in range({rounds}):
            time.sleep(0.25)
            print('at', time.time(), flush=True)
        time.sleep(1)
    """)
    taken, seen = [], 0
    while len(taken) < rounds:
        lines = [line for line in jobs.lines(name) if line.startswith("at ")]
        taken += [(time.time() - float(line.split()[1])) * 1000 for line in lines[seen:]]
        seen = len(lines)
    jobs.wait(name)
    return taken


def server_start(rounds):
    taken = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            ready = pathlib.Path(folder, "ready.json")
            begin = time.time()
            process = subprocess.Popen([PROGRAM, "serve", "--listen", "127.0.0.1:0", "--data-dir", folder,
                                        "--ready-file", ready], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            while not ready.exists():
                time.sleep(0.0005)
            taken.append((time.time() - begin) * 1000)
            process.terminate()
            process.wait()
    return taken


def resident_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        service = Service(pathlib.Path(folder), *PLAIN_ARGUMENTS)
        idle = resident_mib(service.process.pid)
        jobs = Jobs(service)
        jobs.wait(jobs.start("print()"))  # builds the environment
        start, by_hand = job_start(jobs, rounds), python_by_hand(rounds)
        delay = log_delay(jobs, rounds)
        after = resident_mib(service.process.pid)
        service.kill(15)
    median = statistics.median
    print(f"job: create to first statement      {median(start):7.1f} ms")
    print(f"python by hand                      {median(by_hand):7.1f} ms")
    print(f"  difference                        {median(start) - median(by_hand):7.1f} ms   (aim: 100)")
    print(f"log line to GetLogEvents            {median(delay):7.1f} ms   (aim: 300)")
    print(f"server start to first answer        {median(server_start(rounds)):7.1f} ms   (aim: 50)")
    print(f"server resident, idle               {idle:7.1f} MiB  (aim: 25)")
    print(f"server resident, after {rounds + 2:3} jobs      {after:7.1f} MiB")
