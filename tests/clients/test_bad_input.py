# SPDX-License-Identifier: Apache-2.0
"""Requests that no SDK would send. Each gets a 4xx in its dialect, and the service goes on."""
import hashlib
import http.client
import json
import socket

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest


def send(service, method, path, body=b"", headers=None, signer="s3"):
    """A correctly signed request with whatever is in it."""
    credentials = service.client("s3")._request_signer._credentials
    request = AWSRequest(method, f"{service.ready['endpoint']}{path}", data=body, headers=headers or {})
    kind = S3SigV4Auth if signer == "s3" else SigV4Auth
    kind(credentials, signer, "us-west-2").add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    connection.request(method, path, body=body, headers=dict(request.headers))
    answer = connection.getresponse()
    return answer.status, answer.read().decode(errors="replace")


def raw(service, request):
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as peer:
        peer.sendall(request)
        peer.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := peer.recv(65536):
            answer += piece
        return answer


def api(service, target, body):
    return send(service, "POST", "/", body, {"X-Amz-Target": target,
                                             "Content-Type": "application/x-amz-json-1.1"}, "sagemaker")


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"\xff\xfe", b'{"TrainingJobName":' + b"[" * 5000,
                                  b'{"TrainingJobName": 7}', b'{"TrainingJobName": null}', b"{}"])
@pytest.mark.parametrize("action", ["CreateTrainingJob", "DescribeTrainingJob", "StopTrainingJob"])
def test_json_of_all_kinds(service, action, body):
    status, text = api(service, f"SageMaker.{action}", body)
    assert status == 400 and json.loads(text)["__type"] in ("SerializationException", "ValidationException")


def test_unknown_members_are_ignored_and_unknown_actions_named(service):
    status, _ = api(service, "SageMaker.ListTrainingJobs", b'{"Surprise": [1, {"a": null}]}')
    assert status == 200
    status, text = api(service, "SageMaker.Frobnicate", b"{}")
    assert status == 400 and "SageMaker.Frobnicate is not supported" in text


@pytest.mark.parametrize("xml", [b"", b"<", b"<a/>", b"<Delete>", b"<Delete></Delete>",
                                 b'<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete>&e;</Delete>',
                                 b"<a>" * 100_000])
def test_xml_of_all_kinds(service, bucket, xml):
    status, text = send(service, "POST", f"/{bucket}?delete=", xml)
    assert status == 400 and "MalformedXML" in text
    status, text = send(service, "POST", f"/{bucket}/k?uploadId=none", xml)
    assert status in (400, 404)


def test_bodies_that_do_not_match_what_was_said(service, s3, bucket):
    status, text = send(service, "PUT", f"/{bucket}/k", b"hello", {"Content-MD5": "no md5"})
    assert status == 400 and "InvalidDigest" in text
    status, text = send(service, "PUT", f"/{bucket}/k", b"hello",
                        {"x-amz-checksum-sha256": "AAAA", "x-amz-checksum-crc32": "AAAA"})
    assert status == 400 and "InvalidRequest" in text
    headers = {"X-Amz-Content-SHA256": hashlib.sha256(b"other").hexdigest()}
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    request = AWSRequest("PUT", f"{service.ready['endpoint']}/{bucket}/k", data=b"other", headers=headers)
    S3SigV4Auth(s3._request_signer._credentials, "s3", "us-west-2").add_auth(request)
    connection.request("PUT", f"/{bucket}/k", body=b"hello", headers=dict(request.headers))
    assert connection.getresponse().status == 400
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("request_bytes", [
    b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
    b"GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", b"GET http://other/ HTTP/1.1\r\nHost: h\r\n\r\n"])
def test_http_of_all_kinds(service, request_bytes):
    answer = raw(service, request_bytes)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:100]


@pytest.mark.parametrize("path", ["/b?list-type=2&max-keys=x", "/b?list-type=2&continuation-token=!",
                                  "/b?encoding-type=gzip", "/b/k?partNumber=1", "/b?acl", "/%ff%fe", "/b/%ff"])
def test_queries_of_all_kinds(service, path):
    status, text = send(service, "GET", path)
    assert 400 <= status < 500 and "<Code>" in text


def test_a_refusal_reaches_a_client_that_is_still_sending(service):
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    connection.request("PUT", "/bucket/key", body=b"x" * (32 << 20))
    assert connection.getresponse().status == 403


def test_report_tokens_cannot_be_guessed(service):
    for header in (b"", b"Authorization: Bearer x\r\n", b"Authorization: Basic eDp5\r\n"):
        answer = raw(service, b"POST /-/agent/reports HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n" + header +
                     b"\r\n{}")
        assert answer.startswith(b"HTTP/1.1 4"), answer
