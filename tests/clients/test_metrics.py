# SPDX-License-Identifier: Apache-2.0
"""Metrics from the log and of the instance, by boto3 (JSON), the query protocol and CBOR, and by the SDK's analytics."""
import datetime
import json
import pathlib
import time
import urllib.parse

import botocore.parsers
import botocore.serialize
import botocore.session
import pytest
from clients.test_bad_input import send

NAMESPACE = "/aws/sagemaker/TrainingJobs"
SCRIPT = """
for epoch in range(3):
    print(f"epoch={epoch} loss={1 / (epoch + 1)} acc={epoch * 25}%")
print("loss=nan"); print("loss=1e400"); print("loss=inf")
print("x" * 1_000_000, "loss=77")
import sys; sys.stdout.buffer.write(b"\\xff\\xfe loss=0.125 \\xff\\n")
"""
DEFINITIONS = [{"Name": "loss", "Regex": "loss=([0-9.e+naif-]+)"}, {"Name": "accuracy", "Regex": "acc=([0-9]+)%"},
               {"Name": "no group", "Regex": "loss="}, {"Name": "no pattern", "Regex": "("},
               {"Name": "slow", "Regex": "((x+x+)+y)"}, {"Name": "never", "Regex": "never=(.*)"}]


@pytest.fixture(scope="module")
def trained(service):
    from conftest import Jobs
    jobs = Jobs(service)
    name = jobs.start(SCRIPT, AlgorithmSpecification={
        "TrainingImage": jobs.image, "TrainingInputMode": "File", "MetricDefinitions": DEFINITIONS})
    return jobs, jobs.wait(name)


def window(description):
    start = description["CreationTime"]
    return {"StartTime": start, "EndTime": description["TrainingEndTime"] + datetime.timedelta(minutes=1)}


def statistics(description, **request):
    return {"Namespace": NAMESPACE, "MetricName": "loss", "Period": 60, "Statistics": ["Average", "SampleCount"],
            "Dimensions": [{"Name": "TrainingJobName", "Value": description["TrainingJobName"]}],
            **window(description), **request}


def test_the_last_value_of_each_metric_is_final(trained):
    _, description = trained
    final = {metric["MetricName"]: metric["Value"] for metric in description["FinalMetricDataList"]}
    assert final == {"loss": 0.125, "accuracy": 50}


def test_metrics_that_can_have_no_value_are_told_in_the_log(trained):
    jobs, description = trained
    lines = "\n".join(jobs.lines(description["TrainingJobName"]))
    assert "Metric 'no group' will have no values: regular expression 'loss=': it has no group" in lines
    assert "Metric 'no pattern' will have no values: regular expression '(': missing )" in lines


def test_statistics_by_json(trained, service):
    _, description = trained
    answer = service.client("cloudwatch").get_metric_statistics(**statistics(description, Statistics=[
        "Average", "Sum", "Minimum", "Maximum", "SampleCount"]))
    points = answer["Datapoints"]
    assert sum(point["SampleCount"] for point in points) == 5  # three epochs, 77, 0.125
    assert sum(point["Sum"] for point in points) == pytest.approx(1 + 1 / 2 + 1 / 3 + 77 + 0.125)
    assert {point["Unit"] for point in points} == {"None"} and answer["Label"] == "loss"


def test_statistics_by_the_query_protocol_of_older_clients(trained, service):
    _, description = trained
    times = {key: value.strftime("%Y-%m-%dT%H:%M:%SZ") for key, value in window(description).items()}
    form = {"Action": "GetMetricStatistics", "Version": "2010-08-01", "Namespace": NAMESPACE, "MetricName": "loss",
            "Dimensions.member.1.Name": "TrainingJobName",
            "Dimensions.member.1.Value": description["TrainingJobName"], "Period": "60",
            "Statistics.member.1": "Average", "Statistics.member.2": "SampleCount", **times}
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}

    def post(body):
        return send(service, "POST", "/", urllib.parse.urlencode(body).encode(), headers, "monitoring")
    status, text = post(form)
    assert status == 200, text
    output = botocore.session.get_session().get_service_model("cloudwatch").operation_model(
        "GetMetricStatistics").output_shape
    parsed = botocore.parsers.QueryParser().parse({"status_code": 200, "headers": {}, "body": text.encode()}, output)
    assert sum(point["SampleCount"] for point in parsed["Datapoints"]) == 5
    assert all(abs(point["Timestamp"] - description["CreationTime"]) < datetime.timedelta(minutes=10)
               for point in parsed["Datapoints"])
    for wrong in ({"Period": "x"}, {"Period": "0"}, {"StartTime": "yesterday"}, {"Statistics.member.1": "Mode"},
                  {"Action": "PutDashboard"}):
        status, text = post(form | wrong)
        assert status == 400 and "<ErrorResponse>" in text, text


def test_statistics_by_cbor(trained, service):
    _, description = trained
    model = botocore.session.get_session().get_service_model("cloudwatch")
    operation = model.operation_model("GetMetricStatistics")
    serializer = botocore.serialize.create_serializer("smithy-rpc-v2-cbor")
    document = serializer.serialize_to_request(statistics(description), operation)
    headers = dict(document["headers"]) | {"smithy-protocol": "rpc-v2-cbor"}
    path = "/service/GraniteServiceVersion20100801/operation/GetMetricStatistics"

    def post(body):
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        import http.client
        request = AWSRequest("POST", service.ready["endpoint"] + path, data=body, headers=headers)
        SigV4Auth(service.client("s3")._request_signer._credentials, "monitoring", "us-west-2").add_auth(request)
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
        connection.request("POST", path, body=body, headers=dict(request.headers))
        answer = connection.getresponse()
        return {"status_code": answer.status, "headers": dict(answer.getheaders()), "body": answer.read()}
    parser = botocore.parsers.create_parser("smithy-rpc-v2-cbor")
    parsed = parser.parse(post(document["body"]), operation.output_shape)
    assert sum(point["SampleCount"] for point in parsed["Datapoints"]) == 5
    assert all(isinstance(point["Timestamp"], datetime.datetime) for point in parsed["Datapoints"])
    for body in (b"", b"\xff", b"\x01", b"\xa0", document["body"][:-3]):
        answer = post(body)
        assert answer["status_code"] == 400
        assert parser.parse(answer, operation.output_shape)["Error"]["Code"] in (
            "SerializationException", "ValidationException")


def test_metric_data_and_the_list_of_metrics(trained, service):
    _, description = trained
    client = service.client("cloudwatch")
    dimensions = [{"Name": "TrainingJobName", "Value": description["TrainingJobName"]}]

    def query(identifier, name, stat):
        return {"Id": identifier, "MetricStat": {"Period": 60, "Stat": stat, "Metric": {
            "Namespace": NAMESPACE, "MetricName": name, "Dimensions": dimensions}}}
    answer = client.get_metric_data(MetricDataQueries=[query("a", "loss", "Maximum"), query("b", "none", "Sum")],
                                    **window(description))
    results = {result["Id"]: result for result in answer["MetricDataResults"]}
    assert max(results["a"]["Values"]) == 77 and results["b"]["Values"] == []
    assert len(results["a"]["Timestamps"]) == len(results["a"]["Values"])
    listed = client.list_metrics(Namespace=NAMESPACE, Dimensions=dimensions)["Metrics"]
    assert {metric["MetricName"] for metric in listed} == {"loss", "accuracy"}
    with pytest.raises(client.exceptions.ClientError, match="expressions are not supported"):
        client.get_metric_data(MetricDataQueries=[{"Id": "e", "Expression": "a+b"}], **window(description))


def test_what_cannot_be_answered_is_refused(trained, service):
    _, description = trained
    client = service.client("cloudwatch")
    for wrong, text in (({"Period": 61}, "multiple of 60"),
                        ({"EndTime": description["CreationTime"]}, "must be less"),
                        ({"Period": 1}, None), ({"ExtendedStatistics": ["p50"]}, "not supported"), ({"StartTime": datetime.datetime(2000, 1, 1), "Period": 1}, "1440")):
        if text is None:
            assert client.get_metric_statistics(**statistics(description, **wrong))["Datapoints"]
            continue
        request = statistics(description, **wrong)
        if "ExtendedStatistics" in wrong:
            del request["Statistics"]
        with pytest.raises(client.exceptions.ClientError, match=text):
            client.get_metric_statistics(**request)
    other = client.get_metric_statistics(**statistics(description, Namespace="AWS/EC2"))
    assert other["Datapoints"] == []


def test_a_running_job_shows_what_its_instance_uses(jobs, service):
    name = jobs.start("""
        import os, time
        block = bytearray(200 << 20)
        while not os.path.exists("/opt/ml/output/data/end"):
            sum(range(100_000))
            if time.process_time() > 9: open("/opt/ml/output/data/end", "w").close()
        """)
    description = jobs.wait(name)
    client = service.client("cloudwatch")
    values = {}
    for metric in ("CPUUtilization", "MemoryUtilization", "DiskUtilization"):
        points = client.get_metric_statistics(
            Namespace=NAMESPACE, MetricName=metric, Period=60, Statistics=["Maximum"], Unit="Percent",
            Dimensions=[{"Name": "Host", "Value": f"{name}/algo-1"}], **window(description))["Datapoints"]
        values[metric] = max(point["Maximum"] for point in points)
    assert 20 < values["CPUUtilization"] <= 130, values
    assert 0 < values["MemoryUtilization"] < 100 and 0 < values["DiskUtilization"] < 100, values


def test_batch_put_metrics(service):
    client = service.client("sagemaker-metrics")
    now = int(time.time())
    answer = client.batch_put_metrics(TrialComponentName="c-1", MetricData=[
        {"MetricName": "loss", "Timestamp": now, "Value": 0.5, "Step": 1},
        {"MetricName": "loss", "Timestamp": now + 1, "Value": 0.25, "Step": 2}])
    assert "Errors" not in answer
    points = service.client("cloudwatch").get_metric_statistics(
        Namespace=NAMESPACE, MetricName="loss", Period=60, Statistics=["Sum"], StartTime=now - 60, EndTime=now + 60,
        Dimensions=[{"Name": "TrialComponentName", "Value": "c-1"}])["Datapoints"]
    assert sum(point["Sum"] for point in points) == 0.75
    status, text = send(service, "PUT", "/BatchPutMetrics", json.dumps({"TrialComponentName": "UPPER", "MetricData": []})
                        .encode(), {"Content-Type": "application/json"}, "sagemaker")
    assert status == 400 and "2 validation errors" in text


def test_the_sdks_analytics(trained, service, tmp_path, monkeypatch):
    for key, value in service.environment().items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    import boto3
    import sagemaker
    from sagemaker.analytics import TrainingJobAnalytics
    _, description = trained
    session = sagemaker.Session(boto_session=boto3.Session(region_name="us-west-2"), default_bucket="unused")
    frame = TrainingJobAnalytics(description["TrainingJobName"], metric_names=["loss", "accuracy"],
                                 sagemaker_session=session).dataframe()
    assert set(frame["metric_name"]) == {"loss", "accuracy"}
    assert frame[frame.metric_name == "accuracy"]["value"].tolist() == [25.0]
    assert pathlib.Path(tmp_path).is_dir()
