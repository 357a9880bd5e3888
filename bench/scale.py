# SPDX-License-Identifier: Apache-2.0
"""What an instance costs the server: the real API and scheduler with instances on paper, in virtual time."""
import json

from measuring import Contender, Sample, row, timed
from servers import PROBES
from workloads import Table, workload


@workload("scale", "Many instances")
def scale(bench):
    table = Table("Reports of running instances, in jobs of 100", "requests/s",
                  "Each instance reports every 5 s with the lines of its log since, one a second; one thread, stores on disk, "
                  "no network. CPU is that of a report.")
    facts = {"of one core, to serve them": {}, "lines of logs taken per second": {}, "one look of the scheduler, ms": {},
             "memory per instance, KiB": {}}
    sizes = {100: 7, 1000: 7, 10_000: 1} if not bench.quick else {100: 3}
    for instances, rounds in sizes.items():
        samples = []
        bench.say(f"  {instances:,} instances")
        for _ in range(rounds):
            _, output, _ = timed([PROBES / "simulation_probe", bench.place("simulation"), instances, 1])
            found = json.loads(output.splitlines()[-1])
            rate = found["reports_per_second"]
            samples.append(Sample(1 / rate, 1 / rate))
        name = f"{instances:,} instances"
        table.rows.append(row(Contender(name, f"simulation_probe FOLDER {instances} 1", None), samples, per="request"))
        facts["of one core, to serve them"][name] = f"{found['cores']:.1%}"
        facts["lines of logs taken per second"][name] = f"{found['lines_per_second']:,.0f}"
        facts["one look of the scheduler, ms"][name] = f"{found['look_ms']:.2f}"
        facts["memory per instance, KiB"][name] = f"{found['memory_bytes_per_instance'] / 1024:.0f}"
    table.facts |= facts
    return [table]
