# SPDX-License-Identifier: Apache-2.0
"""Every limit of every member of the training operations, at, below and above it: generated from botocore's model, each
variant a signed request over HTTP. A variant that fits may fail for what it asks (no such job, not supported), never for
its shape; one that does not fit is refused with its member's path. The service never answers 5xx."""
import copy
import http.client
import json

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

MODEL = botocore.session.get_session().get_service_model("sagemaker")
ARN = "arn:aws:sagemaker:us-west-2:123456789012:training-job/none"
CREATE = {
    "TrainingJobName": "limits", "RoleArn": "arn:aws:iam::123456789012:role/Trainer",
    "AlgorithmSpecification": {"TrainingImage": "i", "TrainingInputMode": "File"},
    "InputDataConfig": [{"ChannelName": "c", "DataSource": {"S3DataSource": {
        "S3DataType": "S3Prefix", "S3Uri": "s3://no-such-bucket/p"}}}],
    "OutputDataConfig": {"S3OutputPath": "s3://b/o"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60}}
BASES = {
    "CreateTrainingJob": CREATE, "DescribeTrainingJob": {"TrainingJobName": "none"},
    "StopTrainingJob": {"TrainingJobName": "none"}, "DeleteTrainingJob": {"TrainingJobName": "none"},
    "UpdateTrainingJob": {"TrainingJobName": "none"}, "ListTrainingJobs": {},
    "AddTags": {"ResourceArn": ARN, "Tags": []}, "ListTags": {"ResourceArn": ARN},
    "DeleteTags": {"ResourceArn": ARN, "TagKeys": ["k"]}, "Search": {"Resource": "TrainingJob"}}
# Texts that fit patterns which a run of one letter does not.
EXAMPLES = {
    "ArnOrName": "a",
    "S3Uri": "s3://bucket/", "RoleArn": "arn:aws:iam::123456789012:role/r", "ResourceArn": ARN, "FileSystemId": "fs-01234567",
    "TrainingPlanArn": "arn:aws:sagemaker:us-west-2:123456789012:training-plan/p", "SequenceLength": "4K",
    "MlFlowResourceArn": "arn:aws:sagemaker:us-west-2:123456789012:mlflow-app/a",
    "ModelPackageArn": "arn:aws:sagemaker:us-west-2:123456789012:model-package/a",
    "ModelPackageGroupArn": "arn:aws:sagemaker:us-west-2:123456789012:model-package-group/a",
    "TrainingRepositoryCredentialsProviderArn": "arn:aws:lambda:us-west-2:123456789012:function:f",
    "HubDataSetArn": "arn:aws:sagemaker:us-west-2:aws:hub-content/h/DataSet/d",
    "ServerlessJobBaseModelArn": "arn:aws:sagemaker:us-west-2:aws:hub-content/h/Model/m"}
PADDED = {"S3Uri": "x", "RoleArn": "r", "TrainingPlanArn": "p", "ResourceArn": "x", "MlFlowResourceArn": "a",
          "ModelPackageArn": "a", "ModelPackageGroupArn": "a", "TrainingRepositoryCredentialsProviderArn": "f",
          "FileSystemId": "0"}
UNLIKE_PATTERN = {"TagKey": "a<b", "TagValue": "a<b", "VisibilityConditionsKey": "a<b", "VisibilityConditionsValue": "a<b"}
MAX_DEPTH = 5


def text_of(shape, length):
    """A text of that length that fits the shape's pattern, or None where there is none."""
    example = EXAMPLES.get(shape.name)
    if example is None:
        return "a" * length
    if length < len(example) or (length > len(example) and shape.name not in PADDED):
        return None
    return example + PADDED.get(shape.name, "") * (length - len(example))


def minimal(shape, depth=0):
    """The smallest value that fits, with every required member."""
    if shape.type_name == "structure":
        return {name: minimal(shape.members[name], depth + 1) for name in shape.required_members}
    if shape.type_name == "list":
        return [minimal(shape.member, depth + 1) for _ in range(shape.metadata.get("min", 0))]
    if shape.type_name == "map":
        return {}
    if shape.type_name == "string":
        if getattr(shape, "enum", None):
            return shape.enum[0]
        return EXAMPLES.get(shape.name, "a" * max(shape.metadata.get("min", 1), 1))
    if shape.type_name == "boolean":
        return False
    return shape.metadata.get("min", 1)


def own_variants(shape):
    """(value, fits) for the limits of this shape alone."""
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name == "string" and getattr(shape, "enum", None):
        yield from ((value, True) for value in shape.enum)
        yield from (("no such value", False), ("", False), (shape.enum[0].swapcase(), False))
    elif shape.type_name == "string":
        for length, fits in ((low, True), ((low or 0) - 1, False), (high, True), ((high or 0) + 1, False)):
            bound = high if length in (high, (high or 0) + 1) else low
            if bound is None or length is None or length < 0:
                continue
            text = text_of(shape, length)
            if text is None and not fits:
                text = "a" * length
            if text is not None and not (length == 0 and fits and "pattern" in shape.metadata):
                yield text, fits
        if shape.metadata.get("pattern") not in (None, ".*", "[\\S\\s]*"):
            yield UNLIKE_PATTERN.get(shape.name, "\n"), False
    elif shape.type_name in ("integer", "long"):
        limits = [(low, True), (low - 1, False)] if low is not None else [(-1, True)]
        limits += [(high, True), (high + 1, False)] if high is not None else []
        yield from limits
        yield from (("1", None), (1.5, None), (True, None), (2 ** 63, None))
    elif shape.type_name == "list":
        item = minimal(shape.member)
        for count, fits in ((low, True), ((low or 0) - 1, False), (high, True), ((high or -2) + 1, False)):
            if count is not None and count >= 0:
                yield [copy.deepcopy(item) for _ in range(count)], fits
        yield "no list", None
    elif shape.type_name == "map":
        value = minimal(shape.value)
        for count, fits in ((high, True), (high + 1, False)):
            yield {f"k{number}": value for number in range(count)}, fits
        for key, fits in own_variants(shape.key):
            if fits is not None:
                yield {key: value}, fits
        for entry, fits in own_variants(shape.value):
            if fits is not None:
                yield {"k": entry}, fits
        yield [], None
    elif shape.type_name == "boolean":
        yield from ((True, True), (False, True), ("true", None), (1, None))
    elif shape.type_name == "timestamp":
        yield from ((0, True), (1.5e9, True), ("yesterday", None), ([], None))
    elif shape.type_name == "structure":
        yield from (("no object", None), ([], None))


def variants(shape, value, path=(), depth=0):
    """(path, value of the whole, fits): one change each, to a member at any depth."""
    if shape.type_name == "structure" and depth < MAX_DEPTH:
        for name, member in shape.members.items():
            present = value.get(name)
            inner = minimal(member) if present is None else present
            for part_path, part, fits in variants(member, inner, path + (name,), depth + 1):
                yield part_path, value | {name: part}, fits
            if name in shape.required_members and depth > 0:
                yield path + (name,), {key: item for key, item in value.items() if key != name}, False
    elif shape.type_name == "list" and depth < MAX_DEPTH:
        inner = value[0] if value else minimal(shape.member)
        for part_path, part, fits in variants(shape.member, inner, path, depth + 1):
            yield part_path, [part], fits
    if path:
        for own, fits in own_variants(shape):
            yield path, own, fits


class Caller:
    """Signed requests on one connection."""

    def __init__(self, service):
        self.service = service
        self.credentials = service.client("sagemaker")._request_signer._credentials
        self.connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)

    def __call__(self, operation, document):
        body = json.dumps(document).encode()
        request = AWSRequest("POST", self.service.ready["endpoint"] + "/", data=body, headers={
            "X-Amz-Target": f"SageMaker.{operation}", "Content-Type": "application/x-amz-json-1.1"})
        SigV4Auth(self.credentials, "sagemaker", "us-west-2").add_auth(request)
        self.connection.request("POST", "/", body=body, headers=dict(request.headers))
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode()


def lower_camel(name):
    return name[0].lower() + name[1:]


@pytest.mark.parametrize("operation", BASES)
def test_every_limit_of_every_member(service, operation):
    call, sent, wrong = Caller(service), 0, []
    shape = MODEL.operation_model(operation).input_shape
    for path, request, fits in variants(shape, BASES[operation]):
        status, answer = call(operation, request)
        sent += 1
        name = ".".join(path)
        is_shape_error = "failed to satisfy constraint" in answer or "SerializationException" in answer
        expected_path = lower_camel(path[-1])
        if status >= 500:
            wrong.append(f"{name}: {answer}")
        elif fits is None and "SerializationException" not in answer:
            wrong.append(f"{name} of the wrong type was taken: {answer[:200]}")
        elif fits is True and is_shape_error:
            wrong.append(f"{name} fits and was refused: {answer[:300]}")
        elif fits is False and not ("failed to satisfy constraint" in answer and expected_path in answer):
            wrong.append(f"{name} does not fit and was not refused: {json.dumps(request)[:200]} {answer[:200]}")
    print(f"\n{operation}: {sent} variants")
    assert not wrong, f"{len(wrong)} of {sent}:\n" + "\n".join(wrong[:20])
    assert sent >= 5


def test_required_members_are_asked_for(service):
    call = Caller(service)
    for operation, base in BASES.items():
        shape = MODEL.operation_model(operation).input_shape
        for name in shape.required_members:
            status, answer = call(operation, {key: item for key, item in base.items() if key != name})
            assert status == 400 and f"Value null at '{lower_camel(name)}'" in answer, (operation, name, answer)
