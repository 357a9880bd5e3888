# SPDX-License-Identifier: Apache-2.0
"""bench/run works: one workload that needs no peer, small. What it measures is not looked at."""
import subprocess

from conftest import ROOT


def test_a_quick_run_measures_and_writes_a_page(tmp_path):
    done = subprocess.run([ROOT / "bench/run", "--quick", "--only", "pipe", "--folder", tmp_path / "scratch"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    page = (ROOT / "build/bench/quick.md").read_text()
    for row in ("| local pipe |", "| local copy loop |", "| remote pipe |", "| remote copy loop |"):
        assert row in page, page
    assert list((tmp_path / "scratch").iterdir()) == []
