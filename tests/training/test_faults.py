# SPDX-License-Identifier: Apache-2.0
"""Scripts that go wrong: each has a clear end, and the service goes on."""
import pathlib
import uuid

import pytest
from botocore.exceptions import ClientError


def reason(jobs, script, **options):
    done = jobs.run(script, **options)
    assert done["TrainingJobStatus"] == "Failed", done
    assert len(done["FailureReason"]) <= 1024
    return done["FailureReason"]


def test_an_exception_is_quoted(jobs):
    text = reason(jobs, "raise ValueError('bad learning rate')")
    assert text.startswith('AlgorithmError: ExecuteUserScriptError:\nExitCode 1\n'
                           'ErrorMessage "ValueError: bad learning rate (train.py:1 in <module>)"\nCommand "')
    assert text.endswith('train.py", exit code: 1')


def test_a_huge_message_is_cut_in_the_middle(jobs):
    text = reason(jobs, "raise ValueError('begin ' + 'x' * 100000 + ' end')")
    assert "ValueError: begin" in text and "Command" in text


def test_a_missing_script_is_named(jobs):
    text = reason(jobs, None, files={"other.py": ""})
    assert "can't open file '" in text and "/code/train.py': [Errno 2]" in text


def test_the_scripts_own_failure_file_counts(jobs):
    text = reason(jobs, "open('/opt/ml/output/failure', 'w').write('my reason'); raise SystemExit(5)")
    assert text == "AlgorithmError: my reason, exit code: 1"


def test_exit_0_is_success_whatever_the_failure_file_says(jobs):
    done = jobs.run("open('/opt/ml/output/failure', 'w').write('no')")
    assert done["TrainingJobStatus"] == "Completed"


def test_artifacts_of_a_failed_job_are_kept(jobs):
    name = jobs.start("open('/opt/ml/model/m', 'w').write('half'); raise SystemExit(1)")
    assert jobs.wait(name)["TrainingJobStatus"] == "Failed"
    assert jobs.archive(name) == {"m": b"half"}
    assert jobs.phases(name) == ["Starting", "Downloading", "Training", "Uploading", "Failed"]


def test_a_killed_script_names_its_signal(jobs):
    text = reason(jobs, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert "ExitCode 137" in text and "SIGKILL" in text


def test_output_without_newline_and_100_mb_of_it(jobs):
    name = jobs.start("""
        import sys
        line = "x" * 999 + "\\n"
        for _ in range(100):
            sys.stdout.write(line * 1000)
        sys.stdout.write("y" * 3_000_000)
        sys.stdout.write("the end")
    """)
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed"
    lines = jobs.lines(name)
    assert sum(line == "x" * 999 for line in lines) == 100_000
    assert sum(line.count("y") for line in lines if line.startswith("yy")) == 3_000_000
    assert any(line.endswith("the end") for line in lines)


def test_bytes_that_are_no_text(jobs):
    name = jobs.start("import sys; sys.stdout.buffer.write(b'\\xff\\xfe caf\\xc3\\xa9\\n')")
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed"
    assert "\ufffd\ufffd café" in jobs.lines(name)


def test_children_left_behind_end_with_the_job(jobs):
    seconds = str(100_000 + uuid.uuid4().int % 900_000)
    name = jobs.start(f"""
        import subprocess
        subprocess.Popen(["sleep", "{seconds}"], start_new_session=True)
        print("left one behind")
    """)
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed"
    assert "left one behind" in jobs.lines(name)
    running = [path.read_bytes() for path in pathlib.Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert b"sleep\0" + seconds.encode() + b"\0" not in running


def test_a_model_folder_replaced_by_a_link_gives_nothing_away(jobs):
    text = reason(jobs, """
        import os
        os.rmdir("/opt/ml/model")
        os.symlink("/etc", "/opt/ml/model")
    """)
    assert text.startswith("ClientError: Artifact upload failed:")


def test_an_unknown_image_lists_what_is_known(jobs):
    done = jobs.run("print()", AlgorithmSpecification={
        "TrainingImage": "1.dkr.ecr.us-west-2.amazonaws.com/mxnet-training:1.9-cpu-py38",
        "TrainingInputMode": "File"})
    assert done["FailureReason"].startswith("ClientError: Cannot pull algorithm container.")
    assert "plain:1.0" in done["FailureReason"]
    assert "ModelArtifacts" not in done


def test_a_broken_source_archive_is_named(jobs):
    jobs.s3.put_object(Bucket=jobs.bucket, Key="bad.tar.gz", Body=b"<html>no archive</html>")
    done = jobs.run("print()", HyperParameters={
        "sagemaker_program": '"train.py"',
        "sagemaker_submit_directory": f'"s3://{jobs.bucket}/bad.tar.gz"'})
    assert done["FailureReason"].startswith("ClientError: Source download failed:unpacking")


def test_colliding_keys_are_the_downloads_failure(jobs):
    for key in ("c/a", "c/a/b"):
        jobs.s3.put_object(Bucket=jobs.bucket, Key=key, Body=b"x")
    text = reason(jobs, "print()", channels={"train": f"s3://{jobs.bucket}/c"})
    assert text == (f"ClientError: Data download failed:S3 keys 's3://{jobs.bucket}/c/a' and "
                    f"'s3://{jobs.bucket}/c/a/b' cannot both be placed in one directory")


def test_max_runtime_stops_the_job(jobs):
    name = jobs.start("""
        import signal, sys, time
        def leave(*_):
            open("/opt/ml/model/last", "w").write("saved on SIGTERM")
            sys.exit(0)
        signal.signal(signal.SIGTERM, leave)
        print("ready")
        time.sleep(1000)
    """, StoppingCondition={"MaxRuntimeInSeconds": 2})
    done = jobs.wait(name)
    assert (done["TrainingJobStatus"], done["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert jobs.archive(name) == {"last": b"saved on SIGTERM"}


@pytest.mark.parametrize("change", [
    {"TrainingJobName": "x" * 64}, {"RoleArn": "arn of no role at all"}, {"HyperParameters": {"k": "v" * 2501}},
    {"InputDataConfig": [{"ChannelName": "a/b", "DataSource": {"S3DataSource": {
        "S3DataType": "S3Prefix", "S3Uri": "/home/me/data"}}}]},
    {"ResourceConfig": {"InstanceType": "big", "InstanceCount": 1, "VolumeSizeInGB": 1}},
    {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1001, "VolumeSizeInGB": 1}}])
def test_bad_requests_are_validation_exceptions(jobs, change):
    with pytest.raises(ClientError) as error:
        jobs.start("print()", **change)
    assert error.value.response["Error"]["Code"] == "ValidationException"
