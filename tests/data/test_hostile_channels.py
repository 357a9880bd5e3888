# SPDX-License-Identifier: Apache-2.0
"""Scripts that put links in the place of channels, which the service's own processes then come upon."""
import pytest
from test_in_place import channel, needs_walls, objects_are_untouched, put

SET_UP = """
import os
if not os.path.islink("/opt/ml/input/data"):  # pip runs it more than once
    os.rename("/opt/ml/input/data", "/opt/ml/input/before")
    os.symlink({target!r}, "/opt/ml/input/data")
from setuptools import setup
setup(name="hostile", version="1", py_modules=[])
"""


@pytest.mark.parametrize("above", ["/oldroot", "../../../../oldroot", ""])
@pytest.mark.parametrize("mode", ["File", "FastFile"])
def test_set_up_code_cannot_have_a_channel_shown_elsewhere(jobs, tmp_path, mode, above):
    needs_walls(jobs)
    put(jobs)
    name = jobs.start("import os; print('DATA', os.listdir('/opt/ml/input/data/train'))",
                      files={"setup.py": SET_UP.format(target=f"{above}{tmp_path}")},
                      InputDataConfig=[channel(jobs, mode)])
    done = jobs.wait(name)
    assert done["TrainingJobStatus"] == "Failed"
    assert "/opt/ml/input/data" in done["FailureReason"], done["FailureReason"]
    assert list(tmp_path.iterdir()) == []
    assert objects_are_untouched(jobs)


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
