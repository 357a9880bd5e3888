# SPDX-License-Identifier: Apache-2.0
"""Unmodified scripts train with a real TensorFlow, launched by the SageMaker SDK v2, boto3, and the CLI."""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
from conftest import PROGRAM, ROOT, TENSORFLOW_ARGUMENTS, Service

TAXI = pathlib.Path(os.environ.get("TAXI_DATA", ROOT.parent / "shared/data/chicago-taxi"))
DIGITS = ROOT / "examples/digits"


@pytest.fixture(scope="module")
def tensorflow_service(tmp_path_factory):
    service = Service(tmp_path_factory.mktemp("tensorflow"), *TENSORFLOW_ARGUMENTS)
    yield service
    assert service.close() == 0


@pytest.fixture(scope="module")
def python():
    """The managed environment's own Python, as a user of the model would have it."""
    made = subprocess.run([PROGRAM, "environments", "--environments-dir", ROOT / "build/environments",
                           "--json", "prepare", "tensorflow:2.19"], stdout=subprocess.PIPE, check=True)
    return json.loads(made.stdout)["python"]


@pytest.fixture(scope="module")
def digits(tmp_path_factory, python):
    folder = tmp_path_factory.mktemp("digits")
    subprocess.run([python, DIGITS / "make_tfrecords.py", "--output", folder], check=True)
    return folder


def run(service, *command, **variables):
    environment = service.environment() | {
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(DIGITS / "sdk-config.yaml")} | variables
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def test_digits_through_the_sagemaker_sdk(tensorflow_service, digits, python, tmp_path):
    output = run(tensorflow_service, sys.executable, DIGITS / "launch.py", "--data", digits)
    assert "Completed - Training job completed" in output
    model = re.search(r"^model_data: (s3://\S+)$", output, re.M).group(1)
    measured = run(tensorflow_service, python, DIGITS / "evaluate.py", model, "--data", digits,
                   "--folder", tmp_path / "model")
    assert float(re.search(r"test accuracy: ([0-9.]+)", measured).group(1)) > 0.9
    # attach() reads a finished job back, from another process.
    name = model.split("/")[3]
    attached = run(tensorflow_service, sys.executable, "-c", f"""
import sagemaker
from sagemaker.tensorflow import TensorFlow
estimator = TensorFlow.attach("{name}", sagemaker.Session(default_bucket="digits-example"))
print("attached", estimator.model_data, estimator.hyperparameters()["epochs"])
""")
    assert f"attached {model}" in attached


def test_digits_with_boto3(tensorflow_service, digits):
    output = run(tensorflow_service, sys.executable, DIGITS / "launch_boto3.py", "--data", digits,
                 "--epochs", "2", "--bucket", "digits-boto3")
    assert "test accuracy:" in output and "model.tar.gz" in output


def test_digits_with_the_command_line(tensorflow_service, digits):
    aws = str(pathlib.Path(sys.executable).parent / "aws")
    run(tensorflow_service, aws, "s3", "mb", "s3://cli")
    run(tensorflow_service, aws, "s3", "sync", "--no-progress", str(digits), "s3://cli/digits")
    output = run(tensorflow_service, PROGRAM, "train", DIGITS / "train.py", "--framework", "tensorflow:2.19",
                 "--channel", "train=s3://cli/digits/train", "--channel", "test=s3://cli/digits/test",
                 "--hp", "epochs=1", "--name", "cli-digits")
    assert "test accuracy:" in output and "status    Completed" in output
    assert "cli-digits" in run(tensorflow_service, PROGRAM, "jobs")
    assert "test accuracy:" in run(tensorflow_service, PROGRAM, "logs", "-f", "cli-digits")
    described = json.loads(run(tensorflow_service, PROGRAM, "describe", "--json", "cli-digits"))
    assert described["TrainingJobStatus"] == "Completed"
    events = run(tensorflow_service, aws, "logs", "filter-log-events", "--log-group-name",
                 "/aws/sagemaker/TrainingJobs", "--log-stream-name-prefix", "cli-digits/",
                 "--filter-pattern", '"test accuracy"', "--output", "json")
    assert [e["message"].startswith("test accuracy: ") for e in json.loads(events)["events"]] == [True]
    listed = json.loads(run(tensorflow_service, aws, "sagemaker", "list-training-jobs", "--output", "json",
                            "--name-contains", "cli-digits"))
    assert [job["TrainingJobName"] for job in listed["TrainingJobSummaries"]] == ["cli-digits"]


@pytest.mark.skipif(not TAXI.exists(), reason="no chicago-taxi data here; set TAXI_DATA")
def test_chicago_taxi_through_the_sagemaker_sdk(tensorflow_service):
    output = run(tensorflow_service, sys.executable, ROOT / "examples/chicago_taxi/launch.py",
                 "--data", TAXI, "--epochs", "2")
    assert float(re.search(r"auc: ([0-9.]+)", output).group(1)) > 0.7
