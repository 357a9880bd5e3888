# SPDX-License-Identifier: Apache-2.0
"""Jobs that try to reach through the service to its host: the agent often has rights that they lack."""
import os
import stat

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def secret(tmp_path):
    """A file of the host that no job may read, change or be shown."""
    path = tmp_path / "secret"
    path.write_text("hunter2-of-the-host\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def walled_jobs(jobs):
    if not jobs.service.has_walls:
        pytest.skip("this host forbids namespaces")
    return jobs


def everything_of(jobs, name):
    """All that a client can see of a job."""
    uploaded = [jobs.s3.get_object(Bucket=jobs.bucket, Key=entry["Key"])["Body"].read()
                for entry in jobs.s3.list_objects_v2(Bucket=jobs.bucket, Prefix=f"out/{name}/").get("Contents", [])]
    archives = [jobs.archive(name, file) for file in ("model.tar.gz", "output.tar.gz")
                if any(key.endswith(file) for key in jobs.keys(f"out/{name}/"))]
    return repr((jobs.describe(name), jobs.lines(name), uploaded, archives))


def test_a_shell_entry_point_that_links_to_a_host_file_changes_no_rights(walled_jobs, secret):
    name = walled_jobs.start(None, links={"run.sh": secret}, program="run.sh")
    assert walled_jobs.wait(name)["TrainingJobStatus"] == "Failed"
    assert stat.S_IMODE(os.stat(secret).st_mode) == 0o600


@pytest.mark.parametrize("files, links", [
    ({}, {"requirements.txt": "{secret}"}),
    ({"requirements.txt": "-r {secret}\n"}, {}),
    ({"requirements.txt": "--constraint={secret}\npackaging\n"}, {}),
    ({"requirements.txt": "packaging @ file://{secret}\n"}, {})])
def test_requirements_cannot_read_host_files(walled_jobs, secret, files, links):
    put = lambda table: {path: text.format(secret=secret) for path, text in table.items()}
    name = walled_jobs.start("print('ran')", files=put(files), links=put(links))
    assert walled_jobs.wait(name)["TrainingJobStatus"] == "Failed"
    assert "hunter2" not in everything_of(walled_jobs, name)


def test_an_output_folder_that_links_to_a_host_folder_is_neither_written_nor_read(walled_jobs, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/private").write_text("hunter2-of-the-host")
    (tmp_path / "failure").write_text("hunter2-of-the-host")
    before = sorted(path.name for path in tmp_path.iterdir())
    for status in (0, 1):
        name = walled_jobs.start(f"""
            import os, shutil
            shutil.rmtree("/opt/ml/output")
            os.symlink({str(tmp_path)!r}, "/opt/ml/output")
            raise SystemExit({status})
        """)
        walled_jobs.wait(name)
        assert "hunter2" not in everything_of(walled_jobs, name)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("channel", [".", ".."])
def test_a_channel_is_no_way_out_of_its_folder(jobs, channel):
    jobs.s3.put_object(Bucket=jobs.bucket, Key="d/config/resourceconfig.json", Body=b"{}")
    with pytest.raises(ClientError) as error:
        jobs.start("print()", channels={channel: f"s3://{jobs.bucket}/d/"})
    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_a_jobs_key_cannot_create_or_stop_jobs(walled_jobs):
    name = walled_jobs.start("""
        import hashlib, hmac, json, os, datetime, http.client
        # SigV4 by hand: the plain environment has no boto3.
        def call(target, body):
            now = datetime.datetime.utcnow().strftime("%Y%m%dT%H%M%SZ")
            host = os.environ["AWS_ENDPOINT_URL"].split("//")[1]
            headers = {"host": host, "x-amz-date": now, "x-amz-target": target,
                       "x-amz-security-token": os.environ["AWS_SESSION_TOKEN"]}
            names = ";".join(sorted(headers))
            canonical = "\\n".join(["POST", "/", "", "".join(f"{k}:{headers[k]}\\n" for k in sorted(headers)),
                                    names, hashlib.sha256(body).hexdigest()])
            scope = f"{now[:8]}/us-west-2/sagemaker/aws4_request"
            text = "\\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
            key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
            for part in scope.split("/"):
                key = hmac.new(key, part.encode(), "sha256").digest()
            signature = hmac.new(key, text.encode(), "sha256").hexdigest()
            headers["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, "
                                        f"SignedHeaders={names}, Signature={signature}")
            connection = http.client.HTTPConnection(host)
            connection.request("POST", "/", body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        me = json.dumps({"TrainingJobName": os.environ["TRAINING_JOB_NAME"]}).encode()
        print("describe", call("SageMaker.DescribeTrainingJob", me)[0])
        print("stop", *call("SageMaker.StopTrainingJob", me))
        print("create", *call("SageMaker.CreateTrainingJob", b"{}"))
    """)
    assert walled_jobs.wait(name)["TrainingJobStatus"] == "Completed", walled_jobs.lines(name)
    lines = walled_jobs.lines(name)
    assert "describe 200" in lines
    assert any(line.startswith("stop 400") and "AccessDenied" in line for line in lines)
    assert any(line.startswith("create 400") and "AccessDenied" in line for line in lines)
