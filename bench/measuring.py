# SPDX-License-Identifier: Apache-2.0
"""Runs contenders in turns on one machine and keeps what each run took, with what disturbed it."""
import dataclasses
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count()
# A run during which other programs of the machine took more than this share of it counts as disturbed.
DISTURBED = 0.15


@dataclasses.dataclass
class Sample:
    """One run. CPU is of the client (with what it waited for) and of the server, in seconds."""
    seconds: float
    cpu: float = 0
    server_cpu: float = 0
    count: float = 1        # bytes, objects or requests, as the workload says
    foreign: float = 0      # share of the machine that others took meanwhile
    load: float = 0

    @property
    def rate(self):
        return self.count / self.seconds


@dataclasses.dataclass
class Contender:
    """`run` does the work once and returns a Sample; `prepare` comes before it and is not timed."""
    name: str
    flags: str
    run: object
    prepare: object = lambda: None
    note: str = ""


class Failed(Exception):
    """A contender did not do its work; the text says why."""


def timed(command, *, stdin=None, environment=None, cwd=None, stdout=None):
    """Runs a program to its end. A last line of JSON with "seconds" and "cpu" on its output replaces the
    measured time and CPU: Python programs leave out their start with it."""
    wait_input = subprocess.PIPE if stdin is not None else subprocess.DEVNULL
    begin = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], stdin=wait_input, cwd=cwd, env=environment,
                               stdout=stdout or subprocess.PIPE, stderr=subprocess.PIPE)
    errors = []
    reader = threading.Thread(target=lambda: errors.append(process.stderr.read()))
    reader.start()
    if stdin is not None:
        process.stdin.write(stdin)
        process.stdin.close()
    output = b"" if stdout else process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    reader.join()
    if process.returncode != 0:
        text = (errors[0] + output[-500:]).decode(errors="replace")
        shown = "".join(one for one in text[-600:] if one.isprintable() or one == "\n")
        raise Failed(f"{pathlib.Path(str(command[0])).name} ended with {process.returncode}: {shown}")
    sample = Sample(seconds, usage.ru_utime + usage.ru_stime)
    answer = last_json(output)
    if "seconds" in answer and "cpu" in answer:
        sample.seconds, sample.cpu = answer["seconds"], answer["cpu"]
    return sample, output, errors[0]


def last_json(output):
    lines = output.strip().splitlines()
    try:
        answer = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def busy_seconds():
    """Of all CPUs since boot."""
    values = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(values) - values[3] - values[4]) / TICK


def own_seconds():
    """Of this process and the children that it waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def processes_below(pid):
    """`pid` and its living descendants."""
    parents = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(pathlib.Path(entry.path, "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def cpu_of(pid):
    """Of a living process and of the children that it waited for."""
    try:
        words = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return sum(int(word) for word in words[11:15]) / TICK


def wait_for_quiet(seconds):
    """Until others leave the machine alone, or `seconds` are over."""
    deadline = time.monotonic() + seconds
    while True:
        begin, used, own = time.monotonic(), busy_seconds(), own_seconds()
        time.sleep(0.1)
        share = (busy_seconds() - used - (own_seconds() - own)) / (time.monotonic() - begin) / CORES
        if share < DISTURBED or time.monotonic() > deadline:
            return


class MemoryWatch:
    """Highest resident memory of Trainyard's processes, by role, while it is open."""

    def __init__(self, is_watched=True):
        self.peaks, self.ending = {}, threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        if is_watched:
            self.thread.start()

    def watch(self):
        roles = {}
        while not self.ending.wait(0.05):
            for child in processes_below(os.getpid()):
                if child not in roles:
                    roles[child] = self.role(child)
                if roles[child]:
                    self.look(child, roles[child])

    @staticmethod
    def role(pid):
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            return None
        program = pathlib.Path(words[0]).name
        if program == "trainyard" and len(words) > 1:
            return f"trainyard {words[1]}"
        return program if program.endswith("_probe") and program != "load_probe" else None

    def look(self, pid, role):
        try:
            text = pathlib.Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return
        for line in text.splitlines():
            if line.startswith("VmHWM"):
                self.peaks[role] = max(self.peaks.get(role, 0), int(line.split()[1]) / 1024)

    def close(self):
        self.ending.set()
        if self.thread.is_alive():
            self.thread.join()
        return self.peaks


def measured(contender, servers, patience):
    """One run with everything around it, after waiting up to `patience` seconds for others to be done."""
    contender.prepare()
    wait_for_quiet(patience)
    begin, used, own = time.monotonic(), busy_seconds(), own_seconds()
    served = sum(server.cpu() for server in servers)
    sample = contender.run()
    took = time.monotonic() - begin
    served = sum(server.cpu() for server in servers) - served
    foreign = busy_seconds() - used - (own_seconds() - own) - served
    sample.server_cpu = sample.server_cpu or served
    sample.foreign = max(0, foreign / took / CORES)
    sample.load = os.getloadavg()[0]
    return sample


def interleave(contenders, *, rounds, servers=(), say=print, patience=0.3, seconds=60):
    """{contender: samples}: A, B, A, B after a first round that is thrown away. Rounds that others
    disturbed are repeated while there is time, and the least disturbed ones are kept, whatever they
    measured. A contender that fails is left out, and why is said."""
    taken, failures = {one.name: [] for one in contenders}, {}
    deadline = time.monotonic() + seconds
    number = 0
    while True:
        quiet = min((sum(s.foreign < DISTURBED for s in taken[name]) for name in taken), default=rounds)
        if number > rounds and (quiet >= rounds or number > rounds * 3 / 2 or
                                time.monotonic() > deadline):
            break
        for contender in [one for one in contenders if one.name in taken]:
            try:
                sample = measured(contender, servers, patience)
            except (Failed, OSError, AssertionError) as error:
                failures[contender.name] = str(error)
                del taken[contender.name]
                say(f"    {contender.name} is left out: {error}")
                continue
            if number > 0:
                taken[contender.name].append(sample)
        number += 1
        say(f"    round {number} of {rounds + 1}" + ("" if number <= rounds + 1 else ", repeated: disturbed"))
    kept = {name: sorted(samples, key=lambda s: s.foreign if s.foreign >= DISTURBED else 0)[:rounds] for name, samples in taken.items()}
    return kept, failures


def row(contender, samples, *, per="GB"):
    """What the page needs of a contender's samples, as JSON. `per` is the unit of CPU costs."""
    unit = 1e9 if per == "GB" else 1
    rates = sorted(sample.rate for sample in samples)
    low, high = quartiles(rates)
    median = statistics.median
    return {"name": contender.name, "flags": contender.flags, "note": contender.note, "runs": len(samples),
            "rate": median(rates), "low": low, "high": high,
            "seconds": median(sample.seconds for sample in samples),
            "cpu": median(sample.cpu / sample.count * unit for sample in samples),
            "server_cpu": median(sample.server_cpu / sample.count * unit for sample in samples),
            "load": median(sample.load for sample in samples),
            "disturbed": sum(sample.foreign >= DISTURBED for sample in samples),
            "foreign": median(sample.foreign for sample in samples)}


def quartiles(values):
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def profile(run, folder, programs, most=10):
    """Where the CPU goes while `run` works: [[share, program, function]] of the named programs (names as
    the kernel cuts them, 15 bytes) of this run, or None where perf is not to be had."""
    perf = shutil.which("perf")
    if not perf:
        return None
    data = folder / "perf.data"
    recorder = subprocess.Popen([perf, "record", "-q", "-a", "-e", "cpu-clock", "-F", "1999", "-o", data],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ours, ending = set(), threading.Event()

    def note_processes():
        while not ending.wait(0.02):
            ours.update(processes_below(os.getpid()))
    noting = threading.Thread(target=note_processes)
    noting.start()
    try:
        time.sleep(0.3)  # perf says nothing when it has begun
        run()
    finally:
        recorder.send_signal(2)
        recorder.wait()
        ending.set()
        noting.join()
    report = subprocess.run(
        [perf, "report", "-i", data, "--no-children", "--stdio", "--sort", "comm,symbol", "-g", "none",
         "--comms", ",".join(programs), "--pid", ",".join(map(str, sorted(ours))), "-t", "|"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        check=False).stdout
    rows = []
    for line in report.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        at = next((n for n, cell in enumerate(cells) if cell[:3] in ("[k]", "[.]")), 0)
        if at and cells[0].endswith("%"):  # of a single program, perf leaves out the column of its name
            rows.append([float(cells[0][:-1]), cells[1] if at > 1 else programs[0], cells[at][4:].split("  ")[0]])
    total = sum(cells[0] for cells in rows) or 1
    data.unlink(missing_ok=True)
    return [[100 * share / total, *rest] for share, *rest in rows[:most]]


def file_system(folder):
    answer = subprocess.run(["stat", "-f", "-c", "%T", folder], stdout=subprocess.PIPE, text=True, check=False).stdout
    return {"ext2/ext3": "ext4"}.get(answer.strip(), answer.strip())


def warm(folder, gibibytes):
    """Touches memory that the guest may not have yet: a first touch costs ten times what a second does."""
    file = folder / "warm"
    with open(file, "wb", buffering=0) as out:
        block = bytes(1 << 20)
        for _ in range(int(gibibytes * 1024)):
            out.write(block)
    file.unlink()


def complain(text):
    print(text, file=sys.stderr, flush=True)
