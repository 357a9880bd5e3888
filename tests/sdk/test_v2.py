# SPDX-License-Identifier: Apache-2.0
"""SDK v2 programs that know nothing of Trainyard, run under `trainyard exec`."""
import json
import re
import subprocess
import sys

import pytest
from conftest import PLAIN, ROOT, Jobs
from launching import launch_all

FOLDER = ROOT / "tests/sdk"


@pytest.fixture(scope="module")
def outputs(sdk_service, tmp_path_factory):
    """What each program prints; all of them run at once, for the SDK mostly sleeps."""
    repository = tmp_path_factory.mktemp("git") / "origin.git"
    work = repository.with_name("work")
    commands = (["git", "init", "-q", "-b", "main", work], ["cp", "-r", FOLDER / "alone", work / "code"],
                ["git", "-C", work, "add", "."],
                ["git", "-C", work, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "code"],
                ["git", "clone", "-q", "--bare", work, repository])
    for command in commands:
        subprocess.run(command, check=True)
    # The SDK takes https:// alone, and git itself can be told where that is.
    settings = repository.with_name("gitconfig")
    settings.write_text(f'[url "file://{repository.parent}/"]\n  insteadOf = https://git.example.com/\n')
    programs = {"session": (), "follow": (PLAIN,), "everything": (PLAIN,),
                "forms": (PLAIN, "https://git.example.com/origin.git"), "failing": (PLAIN,)}
    return launch_all(sdk_service, tmp_path_factory, {
        name: (sys.executable, FOLDER / f"v2/{name}.py", *arguments) for name, arguments in programs.items()},
        GIT_CONFIG_GLOBAL=str(settings))


@pytest.fixture
def done(outputs, sdk_service):
    """The value behind `label:` in a program's output; the log, description and model of a job."""
    jobs = Jobs(sdk_service)

    class Done:
        lines, describe = jobs.lines, jobs.describe

        @staticmethod
        def said(program, label):
            found = re.findall(rf"^{label}: (.*)$", outputs[program], re.M)
            assert found, outputs[program][-4000:]
            return found[-1]

        @staticmethod
        def seen(name):
            return json.loads([line for line in jobs.lines(name) if line.startswith("seen ")][0][5:])

    return Done


def test_a_session_with_nothing_set_has_bucket_role_and_data(done):
    bucket = "sagemaker-us-west-2-123456789012"
    assert done.said("session", "bucket") == bucket
    assert done.said("session", "role") == "arn:aws:iam::123456789012:role/TrainyardExecutionRole"
    assert done.said("session", "account") == "123456789012 us-west-2"
    assert done.said("session", "uploaded") == f"s3://{bucket}/session/data"
    assert done.said("session", "keys") == "['session/data/a.txt', 'session/data/b/c.txt']"
    assert (done.said("session", "back"), done.said("session", "text")) == ("b/c.txt", "a.txt")


def test_fit_shows_the_log_and_the_metrics_are_read_back(done, outputs):
    assert "loss: 0.3" in outputs["follow"] and "Training - " in outputs["follow"]
    assert "Billable seconds:" in outputs["follow"]
    assert done.said("follow", "model").endswith("/output/model.tar.gz")
    assert done.said("follow", "hyperparameters") == "3"
    assert done.said("follow", "losses").startswith("['loss'")


def test_every_argument_of_a_file_mode_job_arrives(done):
    name = done.said("everything", "job")
    seen, description = done.seen(name), done.describe(name)
    assert seen["arguments"] == ["--epochs", "3", "--flag", "True", "--layers", "[1, 2]", "--name", "a b",
                                 "--nothing", "", "--rate", "0.5"]
    assert seen["variables"]["TEAM_NAME"] == "blue sky"
    assert json.loads(seen["variables"]["SM_CHANNELS"]) == ["plain", "shard", "train"]
    assert seen["channels"]["train"] == seen["channels"]["plain"] == ["one.csv", "two.csv"]
    assert seen["channels"]["shard"] == ["one.csv"] and seen["checkpoints"]
    assert "a library says hello six" in done.lines(name)
    assert description["StoppingCondition"]["MaxRuntimeInSeconds"] == 900
    assert description["RetryStrategy"] == {"MaximumRetryAttempts": 2}
    assert description["CheckpointConfig"]["LocalPath"] == "/opt/ml/checkpoints"
    assert description["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 60
    assert description["ProfilerConfig"]["DisableProfiler"] is True
    assert done.said("everything", "model") == (
        f"s3://sagemaker-us-west-2-123456789012/everything/out/{name}/output/model.tar.gz")
    assert done.said("everything", "tags") == "[{'Key': 'team', 'Value': 'blue'}]"


def test_code_comes_as_shell_script_package_and_git_repository(done):
    assert "shell got: --epochs 2" in done.lines(done.said("forms", "shell"))
    assert "the package got ['--epochs', '4']" in done.lines(done.said("forms", "package"))
    assert done.seen(done.said("forms", "git"))["arguments"] == []


def test_an_isolated_job_gets_its_code_as_a_channel(done):
    name = done.said("forms", "isolated")
    assert done.seen(name)["channels"] == {"code": ["sourcedir.tar.gz"]}
    assert done.describe(name)["EnableNetworkIsolation"] is True


def test_a_failure_says_what_the_script_raised(done, outputs):
    assert done.said("failing", "status") == "Failed"
    assert "AlgorithmError: ExecuteUserScriptError:" in done.said("failing", "error")
    assert "ValueError: no such column: fare" in outputs["failing"].split("error: ")[1]
