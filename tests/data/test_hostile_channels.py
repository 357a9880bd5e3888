# SPDX-License-Identifier: Apache-2.0
"""Scripts that put links in the place of channels, which the service's own processes then come upon."""
from test_in_place import channel, put


def test_a_script_cannot_have_pipes_made_elsewhere(jobs, tmp_path):
    put(jobs)
    (tmp_path / "train_1").write_text("of the host")
    name = jobs.start(f"""
        import os
        os.rename("/opt/ml/input/data", "/opt/ml/input/before")
        os.symlink({str(tmp_path)!r}, "/opt/ml/input/data")
        with open("/opt/ml/input/before/train_0", "rb") as pipe:
            print("BYTES", len(pipe.read()))
    """, InputDataConfig=[channel(jobs, "Pipe")])
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert f"BYTES {3 * (1 << 20) + 4}" in jobs.lines(name)
    assert [path.name for path in tmp_path.iterdir()] == ["train_1"]
    assert (tmp_path / "train_1").read_text() == "of the host"
