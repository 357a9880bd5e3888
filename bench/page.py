# SPDX-License-Identifier: Apache-2.0
"""doc/performance.md, from results."""
from targets import verdicts

INTRO = """# Performance

How fast data reaches a training script through Trainyard, beside programs that people use for the same today. This page is
written by `bench/run`; no figure on it was typed. `bench/README.md` tells how to repeat it.

All of it ran on one machine, over loopback: client and server share two cores, and nothing here says how fast Amazon S3
or a network is. **CPU-seconds per GB** are what carries over to other machines.
"""

RULES = """## How it was measured

* In turns: Trainyard, peer, Trainyard, peer. The first turn is thrown away, {rounds} count; figures are medians, in brackets the
  quartiles.
* Equal work: the same objects from the same server into the same file system ({fs}), all bytes compared with the
  source in the first turn, names and sizes in each. What a client verifies is said beside it. Nobody syncs downloads.
* Source objects lie in the page cache, the target is removed before each run, and memory was touched before, as the first
  touch of a virtual machine's memory costs more than a copy.
* CPU is user and system time of the client with all its children, and of the server, each. *Disturbed* counts the turns
  during which other programs took more than 15 % of the machine; such turns were repeated where there was time, and the
  least disturbed were kept, whatever they measured. Where it says 7 of 7, other work ran all the time: take such figures as
  lower bounds and compare them within their table only. *Load* is the load average at the run's end, the run itself included.
* Python's start is left out for boto3. Signatures are made by all; nginx does not look at them.
"""


def render(results, names):
    found = verdicts(results)
    tables = [table for name in names for table in results["workloads"][name]["tables"]]
    text = [INTRO, noise([row for table in tables for row in table["rows"]]), summary(found), machine(results["machine"])]
    rounds = max((row["runs"] for table in tables for row in table["rows"]), default=0)
    text.append(RULES.format(rounds=rounds, fs=results["machine"]["file_system"]))
    for name in names:
        text.append(section(results["workloads"][name], [one for one in found if one.workload == name]))
    text.append(memory(results, names))
    return "\n".join(text).rstrip() + "\n"


def noise(rows):
    """A warning, where the machine was not ours."""
    spoilt = [row for row in rows if row["disturbed"] * 2 > row["runs"]]
    if len(spoilt) * 4 < len(rows):
        return ""
    shares = sorted(row["foreign"] for row in spoilt)
    return (f"> **Not a quiet machine.** During most turns of {len(spoilt)} of {len(rows)} rows other programs took part of it "
            f"(median {shares[len(shares) // 2]:.0%}). Rates are low, and targets may be missed, for that reason alone; no "
            "verdict below stands for a quiet machine. `bench/run` on one replaces this page.\n")


def grid(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def mark(verdict):
    return {True: "yes", False: "**no**", None: "not measured"}[verdict.is_met]


def summary(found):
    met = sum(one.is_met is True for one in found)
    missed = sum(one.is_met is False for one in found)
    open_ones = len(found) - met - missed
    return (f"## Targets\n\n{met} are met, {missed} are missed"
            + (f", {open_ones} were not measured" if open_ones else "")
            + ". Each missed one has below, beside its table, where its time goes.\n\n"
            + grid(["path", "target", "measured", "met"], [[v.path, v.aim, v.found, mark(v)] for v in found]))


def machine(facts):
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version)
    absent = ", ".join(name for name, version in facts["versions"].items() if not version)
    return (f"## Machine\n\n{facts['cores']} cores of {facts['cpu']}, {facts['memory_gib']} GiB of memory, {facts['system']}, Linux "
            f"{facts['kernel']}, {facts['file_system']}. Trainyard {facts['commit']}.\n\nPeers: {versions}."
            + (f" Not installed, and so not measured: {absent}." if absent else "") + "\n")


def shown(row, unit, value):
    if unit == "GB/s":
        return f"{value / 1e9:.2f}"
    if unit == "ms":
        return f"{1000 / value:.1f}" if value else "-"
    return f"{value:,.0f}"


def section(workload, found):
    parts = [f"## {workload['title']}\n", f"`bench/run --only {workload['name']}`, {workload['date']}.\n"]
    for table in workload["tables"]:
        parts += [one_table(table)]
    missed = [one for one in found if one.is_met is False]
    if missed:
        parts.append("Missed: " + "; ".join(f"{v.path} {v.aim} ({v.found})" for v in missed) + ".\n")
        parts += [where_time_goes(table) for table in workload["tables"] if table["rows"]]
    return "\n".join(part for part in parts if part)


def one_table(table):
    unit = table["unit"]
    rows = table["rows"]
    if not rows:
        return f"### {table['title']}\n\n" + left_out(table)
    first = rows[0]["rate"]
    per = {"GB/s": "s/GB", "ms": "s/job", "objects/s": "ms/1,000", "requests/s": "µs/request"}[unit]
    scale = {"GB/s": 1, "ms": 1, "objects/s": 1e6, "requests/s": 1e6}[unit]
    cells = []
    for row in rows:
        low, high = sorted((row["low"], row["high"]), reverse=unit == "ms")
        ratio = row["rate"] / first
        cells.append([row["name"], f"{shown(row, unit, row['rate'])} ({shown(row, unit, low)}–{shown(row, unit, high)})",
                      f"{ratio:.2f}" if unit != "ms" else f"{1 / ratio:.2f}",
                      f"{row['cpu'] * scale:,.2f}", f"{row['server_cpu'] * scale:,.2f}",
                      f"{row['load']:.1f}", f"{row['disturbed']} of {row['runs']}"])
    head = ["", unit, "× first row", f"client CPU, {per}", f"server CPU, {per}", "load", "disturbed"]
    text = f"### {table['title']}\n\n{table['what']}\n\n{grid(head, cells)}"
    notes = [f"* {row['name']}: `{row['flags']}`" + (f"; {row['note']}" if row["note"] else "") for row in rows]
    text += "\n" + "\n".join(notes) + "\n"
    for what, values in table["facts"].items():
        said = ", ".join(f"{name} {value}" for name, value in values.items())
        text += f"\n{what[0].upper()}{what[1:]}: {said}.\n"
    return text + left_out(table)


def left_out(table):
    return "".join(f"\nLeft out: {name}, which failed: {' '.join(why.split())[:200]}\n"
                   for name, why in table["left_out"].items())


def where_time_goes(table):
    """CPU times, and functions where perf could look."""
    row = table["rows"][0]
    busy = (row["cpu"] + row["server_cpu"]) / (1e9 if table["unit"] == "GB/s" else 1) * row["rate"]
    text = (f"Where the time goes, {table['title']}, {row['name']}: client and server keep {busy:.1f} of the cores busy")
    if not table["profiles"]:
        return text + ".\n"
    parts = [text + "."]
    for name, lines in table["profiles"].items():
        functions = "; ".join(f"{share:.0f} % `{function}` ({program})" for share, program, function in lines[:8])
        parts.append(f"Of the CPU of {name}: {functions}.")
    return "\n".join(parts) + "\n"


def memory(results, names):
    rows = []
    for name in names:
        peaks = results["workloads"][name]["memory_mib"]
        rows += [[name, role, f"{mebibytes:.0f}"] for role, mebibytes in sorted(peaks.items())]
    return ("## Memory\n\nThe highest resident memory of each of Trainyard's processes, by workload, in MiB; pages of files that "
            "are mapped count. Probes are the agent's code as a program of its own.\n\n"
            + grid(["workload", "process", "MiB"], rows))
