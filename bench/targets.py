# SPDX-License-Identifier: Apache-2.0
"""What is aimed at, and what the results say of it. A target that was not measured has no verdict."""
import dataclasses


@dataclasses.dataclass
class Verdict:
    """`tables` are the titles of those whose profile explains a miss."""
    workload: str
    path: str
    aim: str
    found: str
    is_met: object  # True, False, or None: not measured


class Results:
    """Rows by workload, number of the table and start of the row's name."""

    def __init__(self, results):
        self.workloads = results["workloads"]

    def row(self, workload, table, name):
        try:
            rows = self.workloads[workload]["tables"][table]["rows"]
        except (KeyError, IndexError):
            return None
        return next((row for row in rows if row["name"] == name), None) or \
            next((row for row in rows if row["name"].startswith(name)), None)

    def rate(self, workload, table, name):
        row = self.row(workload, table, name)
        return row["rate"] if row else None


def at_least(results, workload, path, table, name, least, unit):
    """A rate that is to be reached. `unit` is GB/s or another, whose rates are not divided."""
    rate = results.rate(workload, table, name)
    scale, digits = (1e9, 2) if unit == "GB/s" else (1, 0)
    found = "not measured" if rate is None else f"{rate / scale:,.{digits}f} {unit}"
    return Verdict(workload, path, f"≥ {least:,} {unit}", found, None if rate is None else rate / scale >= least)


def times(results, workload, path, table, name, peer, least):
    """A rate in peers' rates."""
    rate, other = results.rate(workload, table, name), results.rate(workload, table, peer)
    is_measured = rate is not None and other is not None
    found = f"{rate / other:.2f} ×" if is_measured else "not measured"
    return Verdict(workload, path, f"≥ {least} × {peer}", found, rate / other >= least if is_measured else None)


def below(results, workload, path, table, name, most, unit, value):
    row = results.row(workload, table, name)
    found = value(row) if row else None
    return Verdict(workload, path, f"< {most:,} {unit}", f"{found:,.2f} {unit}" if row else "not measured",
                   found < most if row else None)


def verdicts(all_results):
    r = Results(all_results)
    found = starts(r) + downloads(r)
    lazy, marks = "FastFile", "FastFile, pre-content marks"
    found += [
        at_least(r, "fastfile", f"{lazy}, first read", 0, marks, 2.5, "GB/s"),
        times(r, "fastfile", f"{lazy}, first read", 0, marks, "s3fs", 3),
        at_least(r, "fastfile", f"{lazy}, further reads", 1, marks, 15, "GB/s"),
        times(r, "fastfile", f"{lazy}, further reads", 1, marks, "s3fs", 10)]
    found += again(r)
    found += [
        times(r, "pipe", "Pipe, local", 0, "local pipe", "local copy loop", 8),
        times(r, "pipe", "Pipe, remote", 1, "remote pipe", "remote copy loop", 2.5),
        at_least(r, "archive", "model.tar.gz, text", 0, "Trainyard", 1.2, "GB/s"),
        times(r, "archive", "model.tar.gz, text", 0, "Trainyard", "pigz -6", 12)]
    return found + stores(r) + memory(r)


def starts(r):
    found = []
    for name in ("File: 1 object of 8 GiB", "File: 10,000 objects"):
        found.append(below(r, "start", f"Start of a job, {name}", 0, name, 1000, "ms", lambda row: row["seconds"] * 1000))
    return found


def downloads(r):
    path = "File, large objects, verified"
    rate, raw = (r.rate("large", 0, name) for name in ("Trainyard", "raw socket to file"))
    found = []
    if rate and raw:
        found.append(Verdict("large", path, "≥ 4 GB/s or 0.8 × raw socket to file",
                             f"{rate / 1e9:.2f} GB/s, {rate / raw:.2f} ×", rate >= 4e9 or rate >= 0.8 * raw))
    for peer, least in (("rclone", 2), ("s5cmd", 2), ("rclone, MD5", 7), ("boto3, crt", 3), ("boto3, classic", 3)):
        found.append(times(r, "large", path, 0, "Trainyard", peer, least))
    for peer, least in (("rclone", 2), ("s5cmd", 2), ("rclone, MD5", 7)):
        one = times(r, "large", f"{path}, from versitygw", 1, "Trainyard", peer, least)
        found.append(one)
    found.append(below(r, "large", f"{path}, client", 0, "Trainyard", 0.3, "CPU-s/GB", lambda row: row["cpu"]))
    found.append(at_least(r, "small", "File, 1 KiB objects", 0, "Trainyard", 20_000, "objects/s"))
    for peer in ("s5cmd", "rclone"):
        found.append(times(r, "small", "File, 1 KiB objects, from versitygw", 1, "Trainyard", peer, 1.5))
    return found


def again(r):
    try:
        facts = r.workloads["again"]["tables"][0]["facts"]
    except (KeyError, IndexError):
        return [Verdict("again", "Second job on the same data", "0 bytes of objects moved", "not measured", None)]
    sent = int(next(iter(facts.values()))["second job"].replace(",", ""))
    return [Verdict("again", "Second job on the same data", "0 bytes of objects moved",
                    f"{sent:,} bytes sent by the other service, all answers", sent < 100_000)]


def stores(r):
    return [
        times(r, "store-get", "Store, GET large, 1 connection", 0, "Trainyard", "nginx", 0.8),
        times(r, "store-put", "Store, PUT large, 1 connection", 0, "Trainyard", "versitygw", 1.6),
        times(r, "store-put", "Store, PUT large, 8 connections", 1, "Trainyard", "versitygw", 3),
        times(r, "store-get", "Store, GET 1 KiB", 2, "Trainyard", "versitygw", 3),
        times(r, "store-put", "Store, PUT 1 KiB", 2, "Trainyard", "versitygw", 5),
        below(r, "store-list", "Store, LIST 1,000 of a million keys", 0, "Trainyard", 2, "ms",
              lambda row: 1000 / row["rate"]),
        at_least(r, "control", "Control plane, Describe", 0, "Describe", 20_000, "requests/s"),
        at_least(r, "control", "Control plane, Create, durable", 0, "Create", 3_000, "requests/s"),
        at_least(r, "control", "Control plane, List(100)", 0, "List(100)", 5_000, "requests/s")]


def memory(r):
    """The largest of all processes of all workloads."""
    peaks = [(mebibytes, role, name) for name, workload in r.workloads.items()
             for role, mebibytes in workload["memory_mib"].items() if role in ("trainyard serve", "trainyard agent", "trainyard hydrate")]
    if not peaks:
        return [Verdict("memory", "Memory of server and agent", "< 200 MB", "not measured", None)]
    most, role, name = max(peaks)
    return [Verdict("memory", "Memory of server and agent", "< 200 MB",
                    f"at most {most * 1.048576:.0f} MB ({role}, workload `{name}`)", most * 1.048576 < 200)]
