# SPDX-License-Identifier: Apache-2.0
"""Jobs of several instances: one script, started on each, and one job that comes of it."""
import json
import os
import pathlib
import signal
import time

import pytest
from conftest import PLAIN_ARGUMENTS, Jobs

COUNTS = {"InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}

SHARDS = """
    import json, os, pathlib
    host = os.environ["SM_CURRENT_HOST"]
    mine = sorted(p.name for p in pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]).iterdir())
    print(host, "has", json.dumps(mine))
    model = pathlib.Path(os.environ["SM_MODEL_DIR"])
    (model / host).mkdir()
    for name in mine:
        (model / host / name).write_text(name)
    if host == "algo-1":
        (model / "weights").write_text("of the chief")
    (pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"]) / (host + ".txt")).write_text("seen by " + host)
"""


def resources(count):
    return COUNTS | {"InstanceCount": count}


def sharded(jobs, objects=12):
    for number in range(objects):
        jobs.s3.put_object(Bucket=jobs.bucket, Key=f"data/part-{number:02}", Body=b"x")
    return [{"ChannelName": "train", "DataSource": {"S3DataSource": {
        "S3DataType": "S3Prefix", "S3Uri": f"s3://{jobs.bucket}/data/",
        "S3DataDistributionType": "ShardedByS3Key"}}}]


def wait_for_lines(jobs, name, line, count):
    deadline = time.monotonic() + 60
    while jobs.lines(name).count(line) < count:
        assert time.monotonic() < deadline, jobs.lines(name)
        time.sleep(0.02)


def streams_of(jobs, name):
    found = jobs.logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/")["logStreams"]
    return sorted(stream["logStreamName"].split("/")[1].rsplit("-", 1)[0] for stream in found)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_same_script_on_any_number_of_instances(jobs, count):
    name = jobs.start(SHARDS, InputDataConfig=sharded(jobs), ResourceConfig=resources(count))
    done = jobs.wait(name)
    assert done["TrainingJobStatus"] == "Completed", (done, jobs.lines(name))
    hosts = [f"algo-{number}" for number in range(1, count + 1)]
    assert streams_of(jobs, name) == hosts
    model = jobs.archive(name)
    assert model.pop("weights") == b"of the chief"
    dealt = [path.split("/") for path in model]
    assert sorted(part for _, part in dealt) == [f"part-{number:02}" for number in range(12)]
    assert {host for host, _ in dealt} == set(hosts)
    data = jobs.archive(name, "output.tar.gz")
    assert data == {f"{host}.txt": f"seen by {host}".encode() for host in hosts}
    assert jobs.phases(name) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    # What instances handed to their leader has gone.
    assert not [key for key in jobs.keys(f"out/{name}/") if ".instances" in key]


def test_no_script_starts_where_one_instance_does_not_get_ready(jobs):
    groups = [{"InstanceGroupName": name, "InstanceType": "ml.m5.large", "InstanceCount": 1} for name in "ab"]
    jobs.s3.put_object(Bucket=jobs.bucket, Key="no-manifest", Body=b"neither JSON nor a list")
    missing = [{"ChannelName": "train", "DataSource": {"S3DataSource": {
        "S3DataType": "ManifestFile", "S3Uri": f"s3://{jobs.bucket}/no-manifest", "InstanceGroupNames": ["b"]}}}]
    name = jobs.start("print('runs')", InputDataConfig=missing,
                      ResourceConfig={"InstanceGroups": groups, "VolumeSizeInGB": 1})
    done = jobs.wait(name)
    assert done["TrainingJobStatus"] == "Failed" and "algo-2 was the first of 2" in done["FailureReason"], done
    assert done["FailureReason"].startswith("ClientError: Data download failed:")
    assert "runs" not in jobs.lines(name)


def test_a_file_of_a_later_instance_replaces_that_of_an_earlier_one_and_the_log_says_so(jobs):
    name = jobs.start("""
        import os
        open(os.environ["SM_MODEL_DIR"] + "/same", "w").write(os.environ["SM_CURRENT_HOST"])
    """, ResourceConfig=resources(3))
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert jobs.archive(name) == {"same": b"algo-3"}
    assert "WARNING: same of algo-3 replaces that of an earlier instance" in jobs.lines(name)


def test_files_that_are_not_packed_come_from_every_instance(jobs):
    name = jobs.start(SHARDS, InputDataConfig=sharded(jobs), ResourceConfig=resources(2), OutputDataConfig={
        "S3OutputPath": f"s3://{jobs.bucket}/out", "CompressionType": "NONE"})
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    parts = [key for key in jobs.keys(f"out/{name}/output/model/") if "part-" in key]
    assert len(parts) == 12


def test_the_first_instance_that_fails_ends_the_job_and_is_named(jobs):
    name = jobs.start("""
        import os, sys, time
        open(os.environ["SM_MODEL_DIR"] + "/state", "w").write(os.environ["SM_CURRENT_HOST"])
        if os.environ["SM_CURRENT_HOST"] == "algo-2":
            raise ValueError("no such luck")
        time.sleep(600)
    """, ResourceConfig=resources(3))
    done = jobs.wait(name, seconds=30)
    assert done["TrainingJobStatus"] == "Failed"
    reason = done["FailureReason"]
    assert reason.startswith("AlgorithmError: ExecuteUserScriptError:"), reason
    assert 'ValueError: no such luck' in reason
    assert reason.endswith("(algo-2 was the first of 3 instances to fail)"), reason
    # Artifacts of a failed job are those of all instances that could hand theirs over, merged in order.
    assert jobs.archive(name)["state"] == b"algo-2"


def test_what_finished_instances_handed_over_is_not_lost_when_another_one_fails(jobs):
    name = jobs.start("""
        import os, time
        host = os.environ["SM_CURRENT_HOST"]
        open(os.environ["SM_MODEL_DIR"] + "/" + host, "w").write(host)
        if host == "algo-3":
            print("is done", flush=True)
        elif host == "algo-2":
            time.sleep(4)
            raise SystemExit(3)
        else:
            time.sleep(600)
    """, ResourceConfig=resources(3))
    done = jobs.wait(name, seconds=60)
    assert "algo-2 was the first of 3" in done["FailureReason"], done
    assert sorted(jobs.archive(name)) == ["algo-1", "algo-2", "algo-3"]
    assert not [key for key in jobs.keys(f"out/{name}/") if ".instances" in key]


def test_a_model_is_of_one_attempt(own_service):
    service = own_service(*PLAIN_ARGUMENTS)
    jobs = Jobs(service)
    name = jobs.start("""
        import os, time
        host, first = os.environ["SM_CURRENT_HOST"], not os.path.exists("/opt/ml/checkpoints/again")
        if first and host == "algo-2":
            open(os.environ["SM_MODEL_DIR"] + "/of-the-first-attempt", "w").write(host)
        elif first:
            open("/opt/ml/checkpoints/again", "w").write("1")
            print("runs", flush=True)
            time.sleep(600)
        if host == "algo-1":
            open(os.environ["SM_MODEL_DIR"] + "/weights", "w").write(host)
    """, ResourceConfig=resources(2), RetryStrategy={"MaximumRetryAttempts": 1},
        CheckpointConfig={"S3Uri": f"s3://{jobs.bucket}/checkpoints"})
    wait_for_lines(jobs, name, "runs", 1)
    deadline = time.monotonic() + 60
    while not (jobs.keys("checkpoints/") and any(".instances" in key for key in jobs.keys(f"out/{name}/"))):
        assert time.monotonic() < deadline, jobs.lines(name)
        time.sleep(0.02)
    for pid in processes_of(service, name, "algo-1"):
        os.kill(pid, signal.SIGKILL)
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert sorted(jobs.archive(name)) == ["weights"]
    assert not [key for key in jobs.keys(f"out/{name}/") if ".instances" in key]


def test_an_instance_that_hangs_in_a_signal_handler_does_not_hold_up_a_failed_job(jobs):
    name = jobs.start("""
        import os, signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.environ["SM_CURRENT_HOST"] == "algo-2":
            time.sleep(0.3)
            raise SystemExit(3)
        print("waits", flush=True)
        time.sleep(600)
    """, ResourceConfig=resources(2))
    done = jobs.wait(name, seconds=30)
    assert done["TrainingJobStatus"] == "Failed" and "algo-2 was the first" in done["FailureReason"]


def test_a_stop_reaches_all_instances(jobs):
    name = jobs.start("""
        import os, time
        open(os.environ["SM_MODEL_DIR"] + "/" + os.environ["SM_CURRENT_HOST"], "w").write("so far")
        print("runs", flush=True)
        time.sleep(600)
    """, ResourceConfig=resources(2))
    wait_for_lines(jobs, name, "runs", 2)
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    done = jobs.wait(name, seconds=30)
    assert done["TrainingJobStatus"] == "Stopped" and "FailureReason" not in done
    assert sorted(jobs.archive(name)) == ["algo-1", "algo-2"]
    assert jobs.phases(name)[-3:] == ["Stopping", "Uploading", "Stopped"]


def processes_of(service, name, host=""):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            text = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, UnicodeDecodeError):
            continue
        if entry.name.isdigit() and f"/{name}/1/{host}" in text and str(service.folder) in text:
            found.append(int(entry.name))
    return found


def test_an_instance_that_is_killed_whole_fails_the_job_within_seconds(own_service):
    service = own_service(*PLAIN_ARGUMENTS)
    jobs = Jobs(service)
    name = jobs.start("""
        import time
        print("runs", flush=True)
        time.sleep(600)
    """, ResourceConfig=resources(4))
    wait_for_lines(jobs, name, "runs", 4)
    for pid in processes_of(service, name, "algo-3"):
        os.kill(pid, signal.SIGKILL)
    done = jobs.wait(name, seconds=10)
    assert done["TrainingJobStatus"] == "Failed"
    assert done["FailureReason"].startswith("InternalServerError: "), done["FailureReason"]
    assert "algo-3 was the first of 4 instances to fail" in done["FailureReason"]
    deadline = time.monotonic() + 30
    while (service.folder / "data/jobs" / name).exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert processes_of(service, name) == []


def test_a_server_that_is_killed_finds_all_instances_again(own_service):
    service = own_service(*PLAIN_ARGUMENTS)
    jobs = Jobs(service)
    name = jobs.start("""
        import time
        print("runs", flush=True)
        time.sleep(3)
        print("ends", flush=True)
    """, ResourceConfig=resources(2))
    wait_for_lines(jobs, name, "runs", 2)
    service.kill()
    service.start()
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert jobs.lines(name).count("ends") == 2


def test_instance_groups_of_several_kinds(jobs):
    groups = [{"InstanceGroupName": "data", "InstanceType": "ml.c5.xlarge", "InstanceCount": 2},
              {"InstanceGroupName": "train", "InstanceType": "ml.m5.large", "InstanceCount": 1}]
    channels = sharded(jobs)
    channels[0]["DataSource"]["S3DataSource"]["InstanceGroupNames"] = ["data"]
    name = jobs.start("""
        import json, os, pathlib
        config = json.load(open("/opt/ml/input/config/resourceconfig.json"))
        channel = os.environ.get("SM_CHANNEL_TRAIN")
        print(json.dumps({"host": config["current_host"], "group": config["current_group_name"],
                          "hosts": config["hosts"], "type": config["current_instance_type"],
                          "files": len(os.listdir(channel)) if channel else None}))
    """, InputDataConfig=channels, ResourceConfig={"InstanceGroups": groups, "VolumeSizeInGB": 1})
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    seen = {line["host"]: line for line in map(json.loads, filter(
        lambda text: text.startswith('{"host"'), jobs.lines(name)))}
    assert all(one["hosts"] == ["algo-1", "algo-2", "algo-3"] for one in seen.values())
    assert [seen[f"algo-{n}"]["group"] for n in (1, 2, 3)] == ["data", "data", "train"]
    assert [seen[f"algo-{n}"]["type"] for n in (1, 2, 3)] == ["ml.c5.xlarge"] * 2 + ["ml.m5.large"]
    # Dealt out among the hosts of the group that the channel is for.
    assert [seen[f"algo-{n}"]["files"] for n in (1, 2, 3)] == [6, 6, None]


def test_checkpoints_of_all_instances_share_one_prefix(jobs):
    name = jobs.start("""
        import os, pathlib
        pathlib.Path("/opt/ml/checkpoints", os.environ["SM_CURRENT_HOST"] + ".ckpt").write_text("1")
    """, ResourceConfig=resources(2), CheckpointConfig={"S3Uri": f"s3://{jobs.bucket}/checkpoints"})
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert jobs.keys("checkpoints/") == ["checkpoints/algo-1.ckpt", "checkpoints/algo-2.ckpt"]
