# SPDX-License-Identifier: Apache-2.0
"""The host's cache: a second job over the same remote data moves no bytes."""
import os
import signal

import pytest
from conftest import PLAIN_ARGUMENTS, Jobs, Service
from test_remotes import channel, configuration

SIZE = 300_000
BODIES = {f"in/part-{number}": os.urandom(SIZE) for number in range(4)}
COPY = """
    import shutil
    shutil.copytree("/opt/ml/input/data/train", "/opt/ml/model/copy")
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    made = Service(tmp_path_factory.mktemp("elsewhere"), "--region", "eu-west-1", *PLAIN_ARGUMENTS)
    made.client("s3").create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for key, body in BODIES.items():
        made.client("s3").put_object(Bucket="lake", Key=key, Body=body)
    yield made
    assert made.close() == 0


@pytest.fixture
def make_jobs(elsewhere, tmp_path):
    made = []

    def make(*arguments):
        (tmp_path / "trainyard.toml").write_text(configuration(elsewhere, secret=elsewhere.ready["secret_key"]))
        made.append(Service(tmp_path, "--config", tmp_path / "trainyard.toml", *arguments, *PLAIN_ARGUMENTS))
        return Jobs(made[-1])

    yield make
    for one in made:
        assert one.close() == 0


def told(jobs, name):
    return next(line for line in jobs.lines(name) if line.startswith("Channel train: ")).split("(")[1]


def run(jobs, **options):
    name = jobs.start(COPY, InputDataConfig=channel("s3://lake/in"), **options)
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert jobs.archive(name) == {f"copy/{key[3:]}": body for key, body in BODIES.items()}
    return told(jobs, name)


def entries(jobs):
    return [path for path in (jobs.service.folder / "data/cache").glob("*/*") if path.is_file()]


def test_a_second_job_moves_no_bytes_and_a_changed_object_alone_is_fetched_again(make_jobs, elsewhere):
    jobs = make_jobs()
    assert run(jobs) == "1.1 MiB downloaded)"
    assert run(jobs) == "in place, no byte moved, 1.1 MiB from this host's cache)"
    BODIES["in/part-1"] = os.urandom(SIZE)
    elsewhere.client("s3").put_object(Bucket="lake", Key="in/part-1", Body=BODIES["in/part-1"])
    assert run(jobs) == "293.0 KiB downloaded, 878.9 KiB from this host's cache)"


def test_jobs_that_start_at_once_share_what_is_downloaded(make_jobs):
    jobs = make_jobs("--max-running-jobs", "4")
    names = [jobs.start(COPY, InputDataConfig=channel("s3://lake/in")) for _ in range(4)]
    for name in names:
        assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
        assert jobs.archive(name) == {f"copy/{key[3:]}": body for key, body in BODIES.items()}
    assert len(entries(jobs)) == len(BODIES)


def test_a_script_cannot_harm_the_cache(make_jobs):
    jobs = make_jobs()
    name = jobs.start("""
        import os
        for number in range(4):
            path = f"/opt/ml/input/data/train/part-{number}"
            open(path, "r+b").write(b"harm")
            os.truncate(path, 4)
    """, InputDataConfig=channel("s3://lake/in"))
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert "from this host's cache" in run(jobs)


def test_nothing_is_kept_without_a_cache(make_jobs):
    jobs = make_jobs("--cache-gib", "0")
    assert run(jobs) == "1.1 MiB downloaded)" == run(jobs)
    assert not entries(jobs)


def test_an_entry_that_was_cut_is_fetched_again(make_jobs):
    jobs = make_jobs()
    run(jobs)
    os.truncate(max(entries(jobs), key=lambda path: path.stat().st_mtime), 10)
    assert "downloaded" in run(jobs)


def test_permission_is_checked_on_each_use(make_jobs, elsewhere):
    """Keys that the bucket does not take any more are refused, though this host has its bytes."""
    jobs = make_jobs()
    run(jobs)
    jobs.service.kill(signal.SIGTERM)
    text = configuration(elsewhere, secret="wrong")
    (jobs.service.folder / "trainyard.toml").write_text(text)
    jobs.service.start()
    with pytest.raises(jobs.sagemaker.exceptions.ClientError, match="403"):
        run(jobs)
