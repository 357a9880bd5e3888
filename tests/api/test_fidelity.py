# SPDX-License-Identifier: Apache-2.0
"""doc/fidelity.md is true: complete against the model, every row with a test, and what it says of ignored and refused
members is what the service does."""
import importlib.util
import re
import subprocess
import sys
from collections import Counter

import pytest
from conftest import PROGRAM, ROOT

sys.path.insert(0, str(ROOT / "tools"))
specification = importlib.util.spec_from_file_location("fidelity", ROOT / "tools/fidelity.py")
fidelity = importlib.util.module_from_spec(specification)
specification.loader.exec_module(fidelity)
IMAGE = {"TrainingImage": "x", "TrainingInputMode": "File"}

# Members that have no effect, each asking for something.
IGNORED_REQUEST = {
    "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
    "OutputDataConfig": {"KmsKeyId": "key"},
    "ResourceConfig": {
        "VolumeKmsKeyId": "key", "KeepAlivePeriodInSeconds": 60,
        "TrainingPlanArn": "arn:aws:sagemaker:us-west-2:123456789012:training-plan/p",
        "InstancePlacementConfig": {"EnableMultipleJobs": True}},
    "StoppingCondition": {"MaxPendingTimeInSeconds": 7200},
    "EnableInterContainerTrafficEncryption": True,
    "AlgorithmSpecification": {"TrainingImageConfig": {"TrainingRepositoryAccessMode": "Platform"}},
    "DebugHookConfig": {"S3OutputPath": "s3://b/d", "HookParameters": {"a": "b"},
                        "CollectionConfigurations": [{"CollectionName": "c"}]},
    "DebugRuleConfigurations": [{"RuleConfigurationName": "r", "RuleEvaluatorImage": "i"}],
    "ProfilerRuleConfigurations": [{"RuleConfigurationName": "r", "RuleEvaluatorImage": "i"}],
    "ProfilerConfig": {"ProfilingParameters": {"a": "b"}},
    "TensorBoardOutputConfig": {"S3OutputPath": "s3://b/t"},
    "ExperimentConfig": {"ExperimentName": "e"},
    "RemoteDebugConfig": {"EnableRemoteDebug": True},
    "InfraCheckConfig": {"EnableInfraCheck": True},
    "SessionChainingConfig": {"EnableSessionTagChaining": True},
    "MlflowConfig": {"MlflowResourceArn": "arn:aws:sagemaker:us-west-2:123456789012:mlflow-app/m"},
    "ModelPackageConfig": {
        "ModelPackageGroupArn": "arn:aws:sagemaker:us-west-2:123456789012:model-package-group/g"},
}


def channel(source, mode="File", **more):
    return {"InputDataConfig": [{"ChannelName": "c", "InputMode": mode, "DataSource": source, **more}]}


def s3_source(kind, **more):
    return {"S3DataSource": {"S3DataType": kind, "S3Uri": "s3://b/k"} | more}


HUB_CONTENT = "arn:aws:sagemaker:us-west-2:123456789012:hub-content/h/Model/m/1.0.0"


# What is refused: the row's words, and a request that asks for it.
REFUSED_REQUESTS = {
    "AlgorithmSpecification.AlgorithmName": {"AlgorithmSpecification": {
        "AlgorithmName": "a", "TrainingInputMode": "File"}},
    "InputDataConfig.DataSource.FileSystemDataSource": channel({"FileSystemDataSource": {
        "FileSystemId": "fs-12345678901", "FileSystemAccessMode": "ro", "FileSystemType": "EFS", "DirectoryPath": "/"}}),
    "InputDataConfig.DataSource.DatasetSource": channel({"DatasetSource": {
        "DatasetArn": "arn:aws:sagemaker:us-west-2:123456789012:hub-content/h/DataSet/d/1.0.0"}}),
    "ResourceConfig.InstancePreferences": {"ResourceConfig": {
        "InstancePreferences": [{"InstanceType": "ml.m5.large", "InstanceCount": 1}], "VolumeSizeInGB": 1}},
    "ServerlessJobConfig": {"ServerlessJobConfig": {
        "JobType": "FineTuning", "BaseModelArn": "arn:aws:sagemaker:us-west-2:123456789012:hub-content/h/Model/m/1.0.0"}},
}


def test_the_page_is_what_the_model_and_the_code_say():
    assert fidelity.PAGE.read_text() == fidelity.page(), "run tools/fidelity.py"


def test_every_row_has_a_level_and_a_test_that_exists():
    rows = list(fidelity.rows())
    wrong = []
    for operation, path, level, words, test in rows:
        file, _, function = test.partition("::")
        is_there = (ROOT / file).is_file() and re.search(rf"^def {function}\(", (ROOT / file).read_text(), re.M)
        if level not in ("exact", "approximated", "ignored", "refused") or not is_there:
            wrong.append(f"{operation} {path}: {level}, {test}")
        if level != "exact" and not words:
            wrong.append(f"{operation} {path}: says not how")
    assert not wrong
    print(f"\n{len(rows)} rows: {dict(Counter(row[2] for row in rows))}, none without a test")


def test_describe_has_every_member_that_is_not_ruled_out(jobs):
    jobs.s3.put_object(Bucket=jobs.bucket, Key="d/a", Body=b"a")
    request = request_of(jobs)
    merge(request, IGNORED_REQUEST)
    request |= {"Environment": {"A": "b"}, "RetryStrategy": {"MaximumRetryAttempts": 1},
                "CheckpointConfig": {"S3Uri": f"s3://{jobs.bucket}/c"}}
    request["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "loss", "Regex": "loss=(.*)"}]
    seen = set()
    for script in ("print('loss=1')", "raise SystemExit(1)"):
        done = jobs.wait(jobs.start(script, channels={"c": f"s3://{jobs.bucket}/d"}, **request))
        seen |= done.keys() - {"ResponseMetadata"}
    never = fidelity.NEVER_SENT["DescribeTrainingJob"].keys()
    expected = {path for operation, path, *_ in fidelity.answers()
                if operation.startswith("DescribeTrainingJob") and "." not in path}
    assert seen == expected - never


def merge(target, more):
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            merge(target[key], value)
        else:
            target[key] = value


def test_what_no_code_reads_is_not_called_exact():
    """By its name in the source of the services: a member that is written nowhere cannot have an effect."""
    sources = "".join(path.read_text() for folder in ("sagemaker", "logs", "monitoring")
                      for path in (ROOT / "src/api" / folder).glob("*.cpp"))
    unread = [f"{operation} {path}" for operation, path, level, *_ in fidelity.rows()
              if level == "exact" and operation in fidelity.MODEL["operations"]
              and f'"{path.rpartition(".")[2]}"' not in sources]
    assert unread == []


def request_of(jobs):
    return {
        "AlgorithmSpecification": {"TrainingImage": jobs.image, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{jobs.bucket}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600}}


def test_what_is_ignored_is_told(service, jobs):
    request = request_of(jobs)
    merge(request, IGNORED_REQUEST)
    jobs.s3.put_object(Bucket=jobs.bucket, Key="d/a", Body=b"a")
    request |= channel(s3_source("S3Prefix", S3Uri=f"s3://{jobs.bucket}/d", ModelAccessConfig={"AcceptEula": True},
                                 HubAccessConfig={"HubContentArn": HUB_CONTENT}))
    name = jobs.start("", **request)
    jobs.wait(name)
    shown = subprocess.run([PROGRAM, "describe", name, "--data-dir", service.folder / "data"], text=True,
                           stdout=subprocess.PIPE, check=True).stdout
    log = "\n".join(jobs.lines(name))
    for member, why in fidelity.IGNORED.items():
        assert f"note      {member} has no effect here: {why}" in shown
        assert f"Note: {member} has no effect here: {why}." in log


@pytest.mark.parametrize("member", [path for _, path, level, _, test in fidelity.rows() if level == "refused"
                                    and test == fidelity.REFUSED and path in fidelity.CREATE])
def test_what_is_refused_is_refused_with_this_text(jobs, member):
    request = request_of(jobs)
    request.update(REFUSED_REQUESTS[member])
    with pytest.raises(jobs.sagemaker.exceptions.ClientError) as refused:
        jobs.start("", **request)
    assert fidelity.CREATE[member][1] in str(refused.value)


@pytest.mark.parametrize("kind, mode, text", [
    ("Converse", "File", "S3DataType Converse of channel 'c' is not supported"),
    ("AugmentedManifestFile", "File", "AugmentedManifestFile is only supported with input mode Pipe"),
    ("AugmentedManifestFile", "FastFile", "AugmentedManifestFile is only supported with input mode Pipe"),
    ("ManifestFile", "FastFile", "Input mode FastFile is only supported with S3DataType S3Prefix"),
    ("AugmentedManifestFile", "Pipe", "AttributeNames of channel 'c' is required with S3DataType AugmentedManifestFile")])
def test_data_types_and_modes_that_are_refused(jobs, kind, mode, text):
    with pytest.raises(jobs.sagemaker.exceptions.ClientError, match=re.escape(text)):
        jobs.start("", **request_of(jobs), **channel(s3_source(kind), mode))
