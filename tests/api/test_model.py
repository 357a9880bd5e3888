# SPDX-License-Identifier: Apache-2.0
"""The installed botocore's service model is the oracle of requests and answers."""
import importlib.util
import json
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import botocore.session
import pytest
from conftest import ROOT

SESSION = botocore.session.get_session()
specification = importlib.util.spec_from_file_location("api_model", ROOT / "tools/api_model.py")
api_model = importlib.util.module_from_spec(specification)
specification.loader.exec_module(api_model)
sys.path.insert(0, str(ROOT / "tools"))
import fidelity  # noqa: E402

DISPATCHED = re.findall(r'JsonAction\{"(?:SageMaker|Logs_20140328|GraniteServiceVersion20100801)\.(\w+)"',
                        (ROOT / "src/api/dispatch.cpp").read_text())


def test_the_program_has_every_operation_and_member_of_the_model():
    model = api_model.build()
    kept = json.loads(api_model.FILE.read_text())
    assert kept == model, "botocore has changed: run tools/api_model.py and look at the difference"
    members = sum(len(shape.get("members", ())) for shape in model["shapes"].values())
    answered = {operation for names in api_model.OPERATIONS.values() for operation in names}
    assert set(DISPATCHED) <= answered
    print(f"\n{len(model['operations'])} operations, {len(model['shapes'])} shapes, {members} members, none missing")


def paths_of(value, shape, path=""):
    """Members of an answer, as doc/fidelity.md names them."""
    if shape.type_name == "structure":
        for name, item in value.items():
            yield path + name
            yield from paths_of(item, shape.members[name], f"{path}{name}.")
    elif shape.type_name == "list":
        for item in value:
            yield from paths_of(item, shape.member, path)


def unknown_members(value, shape, path=""):
    """What botocore would drop, and what it misses, in an answer."""
    if shape.type_name == "structure":
        for name in value:
            if name not in shape.members:
                yield f"{path}.{name} is unknown"
        for name in shape.required_members:
            if name not in value:
                yield f"{path}.{name} is missing"
        for name, member in shape.members.items():
            if name in value:
                assert value[name] is not None, f"{path}.{name} is null"
                yield from unknown_members(value[name], member, f"{path}.{name}")
    elif shape.type_name == "list":
        for item in value:
            yield from unknown_members(item, shape.member, path + "[]")
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from unknown_members(item, shape.value, f"{path}.{key}")
    elif shape.type_name == "string":
        assert isinstance(value, str), path
        assert not getattr(shape, "enum", None) or value in shape.enum, f"{path}: {value}"
    elif shape.type_name in ("integer", "long"):
        assert isinstance(value, int) and not isinstance(value, bool), path
    elif shape.type_name in ("timestamp", "double", "float"):
        assert isinstance(value, (int, float)), path


@pytest.fixture
def watched(service):
    """Clients whose every answer is compared with the model; yields (make client, findings, operations, members)."""
    findings, seen, held = [], set(), set()

    def watch(name):
        client = service.client(name)

        def compare(http_response, parsed, model, **_):
            if http_response.status_code == 200 and model.output_shape is not None:
                seen.add(model.name)
                answer = json.loads(http_response.content or b"{}")
                findings.extend(unknown_members(answer, model.output_shape, model.name))
                held.update((model.name, path) for path in paths_of(answer, model.output_shape))
        client.meta.events.register(f"after-call.{client.meta.service_model.service_id.hyphenize()}", compare)
        return client
    yield watch, findings, seen, held


def test_every_answer_is_what_the_model_says(service, jobs, watched):
    watch, findings, seen, held = watched
    sagemaker, logs, cloudwatch = watch("sagemaker"), watch("logs"), watch("cloudwatch")
    uri = f"s3://{jobs.bucket}/train/"
    jobs.s3.put_object(Bucket=jobs.bucket, Key="train/a", Body=b"a")
    everything = dict(
        InputDataConfig=[{"ChannelName": "train", "ContentType": "x", "CompressionType": "None", "InputMode": "File",
                          "RecordWrapperType": "None", "ShuffleConfig": {"Seed": 7},
                          "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}],
        Environment={"A": "1"}, Tags=[{"Key": "k", "Value": "v"}],
        VpcConfig={"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        DebugHookConfig={"S3OutputPath": uri, "CollectionConfigurations": []},
        ProfilerConfig={"S3OutputPath": uri, "ProfilingIntervalInMilliseconds": 500},
        ProfilerRuleConfigurations=[{"RuleConfigurationName": "r", "RuleEvaluatorImage": "i"}],
        ExperimentConfig={"ExperimentName": "e"}, RetryStrategy={"MaximumRetryAttempts": 2},
        TensorBoardOutputConfig={"S3OutputPath": uri}, RemoteDebugConfig={"EnableRemoteDebug": False},
        InfraCheckConfig={"EnableInfraCheck": False}, SessionChainingConfig={"EnableSessionTagChaining": False},
        AlgorithmSpecification={"TrainingImage": jobs.image, "TrainingInputMode": "File",
                                "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}]})
    series = {"Namespace": "/aws/sagemaker/TrainingJobs", "MetricName": "loss"}
    hour = {"StartTime": time.time() - 3600, "EndTime": time.time() + 3600}
    for script, request in (("print('loss=0.5')", everything), ("raise ValueError(1)", {})):
        name = jobs.start(script, **request)
        jobs.wait(name)
        arn = sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobArn"]
        sagemaker.list_training_jobs(NameContains=name)
        sagemaker.update_training_job(TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": 0})
        sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "more", "Value": ""}])
        sagemaker.list_tags(ResourceArn=arn)
        sagemaker.delete_tags(ResourceArn=arn, TagKeys=["more"])
        sagemaker.search(Resource="TrainingJob", SearchExpression={"Filters": [
            {"Name": "TrainingJobName", "Operator": "Equals", "Value": name}]})
        group = "/aws/sagemaker/TrainingJobs"
        logs.describe_log_groups()
        stream = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=name)["logStreams"][0]
        logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])
        logs.filter_log_events(logGroupName=group, logStreamNamePrefix=name)
        dimensions = [{"Name": "TrainingJobName", "Value": name}]
        logs.filter_log_events(logGroupName=group, logStreamNamePrefix=name, limit=1)
        cloudwatch.get_metric_statistics(Period=60, Dimensions=dimensions, **hour, **series, Statistics=[
            "Average", "Sum", "Minimum", "Maximum", "SampleCount"])
        cloudwatch.get_metric_data(MetricDataQueries=[{"Id": "a", "MetricStat": {
            "Metric": {"Dimensions": dimensions, **series}, "Period": 60, "Stat": "Sum"}}], **hour)
        cloudwatch.list_metrics(Dimensions=dimensions)
    metrics = service.client("sagemaker-metrics")
    for number in range(51):
        metrics.batch_put_metrics(TrialComponentName="many", MetricData=[
            {"MetricName": f"m{number}-{at}", "Timestamp": int(time.time()), "Value": 1.0} for at in range(10)])
    cloudwatch.list_metrics()
    logs.describe_log_streams(logGroupName="/aws/sagemaker/TrainingJobs", limit=1)
    sagemaker.list_training_jobs(MaxResults=1)
    sagemaker.search(Resource="TrainingJob", MaxResults=1)
    assert not findings
    claimed = {(operation.removesuffix(", the answer"), path) for operation, path, level, _, test in fidelity.answers()
               if level == "exact" and test == fidelity.ANSWERS}
    assert sorted(claimed - held) == [], "doc/fidelity.md claims members that no answer holds"
    # Create goes through the fixture's own client; Stop and Delete answer with an empty body.
    assert set(DISPATCHED) - seen <= {"CreateTrainingJob", "StopTrainingJob", "DeleteTrainingJob"}


def test_of_clients_that_create_one_name_at_once_exactly_one_wins(jobs):
    def create(number):
        try:
            jobs.sagemaker.create_training_job(**request | {"HyperParameters": {"number": str(number)}})
            return number
        except jobs.sagemaker.exceptions.ResourceInUse:
            return None

    request = {
        "TrainingJobName": f"race-{jobs.bucket}", "RoleArn": "arn:aws:iam::123456789012:role/Trainer",
        "AlgorithmSpecification": {"TrainingImage": jobs.image, "TrainingInputMode": "File",
                                   "ContainerEntrypoint": ["/bin/true"]},
        "OutputDataConfig": {"S3OutputPath": f"s3://{jobs.bucket}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600}}
    with ThreadPoolExecutor(8) as clients:
        winners = [number for number in clients.map(create, range(16)) if number is not None]
    assert len(winners) == 1
    done = jobs.wait(request["TrainingJobName"])
    assert (done["TrainingJobStatus"], done["HyperParameters"]) == ("Completed", {"number": str(winners[0])})
    assert create(winners[0]) is None, "the same request again is a name in use, as on SageMaker"


def test_tags_change_and_a_deleted_job_leaves_its_logs_and_model(jobs):
    """What AddTags, DeleteTags and DeleteTrainingJob leave behind."""
    name = jobs.start("", Tags=[{"Key": "a", "Value": "1"}])
    arn = jobs.wait(name)["TrainingJobArn"]
    jobs.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "ü é", "Value": "Ω/=+-@_.:"}])
    tags = {tag["Key"]: tag["Value"] for tag in jobs.sagemaker.list_tags(ResourceArn=arn)["Tags"]}
    assert tags == {"a": "1", "ü é": "Ω/=+-@_.:"}
    jobs.sagemaker.delete_training_job(TrainingJobName=name)
    with pytest.raises(jobs.sagemaker.exceptions.ClientError, match="Requested resource not found"):
        while True:
            jobs.describe(name)
    assert jobs.lines(name), "logs outlive the job"
    assert jobs.archive(name) == {}
