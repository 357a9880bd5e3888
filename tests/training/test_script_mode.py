# SPDX-License-Identifier: Apache-2.0
"""What a script finds on its instance: contract.md G."""
import json

import pytest
from conftest import TENSORFLOW_LIKE, Jobs

SHOW = """
    import json, os, sys
    print("SHOW" + json.dumps({"argv": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ),
        "config": {n: json.load(open("/opt/ml/input/config/" + n + ".json"))
                   for n in ("hyperparameters", "inputdataconfig", "resourceconfig")}}))
"""


def shown(jobs, name):
    return json.loads(next(l for l in jobs.lines(name) if l.startswith("SHOW"))[4:])


def test_arguments_variables_and_configuration_files(jobs):
    jobs.s3.put_object(Bucket=jobs.bucket, Key="data/a.txt", Body=b"x")
    name = jobs.start(SHOW, hyperparameters={
        "epochs": 3, "lr": 0.1, "name": "a b", "flag": True, "layers": [1, 2], "none": None, "b": "x"},
        channels={"train": f"s3://{jobs.bucket}/data"}, Environment={"FOO": "bar"})
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed"
    seen = shown(jobs, name)
    assert seen["argv"] == ["-b", "x", "--epochs", "3", "--flag", "True", "--layers", "[1, 2]",
                            "--lr", "0.1", "--name", "a b", "--none", ""]
    assert seen["cwd"].endswith("/ml/code")  # the link /opt/ml where there are no walls
    env = seen["env"]
    assert env["SM_HP_EPOCHS"] == "3" and env["SM_HP_NAME"] == "a b" and env["SM_HP_FLAG"] == "true"
    assert env["SM_CHANNEL_TRAIN"] == "/opt/ml/input/data/train" and env["SM_CHANNELS"] == '["train"]'
    assert env["SM_MODEL_DIR"] == "/opt/ml/model" and env["SM_OUTPUT_DATA_DIR"] == "/opt/ml/output/data"
    assert json.loads(env["SM_HPS"])["layers"] == [1, 2]
    assert json.loads(env["SM_TRAINING_ENV"])["job_name"] == name == env["TRAINING_JOB_NAME"]
    assert json.loads(env["SM_USER_ARGS"]) == seen["argv"]
    assert env["FOO"] == "bar" and env["SM_HOSTS"] == '["algo-1"]'
    assert seen["config"]["inputdataconfig"]["train"] == {
        "TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    assert seen["config"]["resourceconfig"]["current_host"] == "algo-1"
    assert seen["config"]["hyperparameters"]["name"] == '"a b"'


def test_channel_files_are_byte_for_byte_and_model_and_output_come_back(jobs):
    blob = bytes(range(256)) * 1000
    for key in ("in/train/a.bin", "in/train/deep/b c.bin"):
        jobs.s3.put_object(Bucket=jobs.bucket, Key=key, Body=blob)
    jobs.s3.put_object(Bucket=jobs.bucket, Key="in/train/folder/", Body=b"")
    name = jobs.start("""
        import os, shutil
        shutil.copytree("/opt/ml/input/data/train", "/opt/ml/model/copy")
        open("/opt/ml/output/data/metrics.json", "w").write("{}")
        open("/opt/ml/input/data/train/written", "w").write("channels are writable")
    """, channels={"train": f"s3://{jobs.bucket}/in/train"})
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert jobs.archive(name) == {"copy/a.bin": blob, "copy/deep/b c.bin": blob}
    assert jobs.archive(name, "output.tar.gz") == {"metrics.json": b"{}"}
    assert jobs.phases(name) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]


def test_an_instance_group_and_its_channels(jobs):
    jobs.s3.put_object(Bucket=jobs.bucket, Key="data/a.txt", Body=b"x")
    channels = [{"ChannelName": name, "DataSource": {"S3DataSource": {
        "S3DataType": "S3Prefix", "S3Uri": f"s3://{jobs.bucket}/data", "InstanceGroupNames": [group]}}}
        for name, group in (("train", "workers"), ("other", "idle"))]
    groups = [{"InstanceGroupName": "idle", "InstanceType": "ml.m5.large", "InstanceCount": 0},
              {"InstanceGroupName": "workers", "InstanceType": "ml.c5.xlarge", "InstanceCount": 1}]
    name = jobs.start(SHOW, InputDataConfig=channels, ResourceConfig={"InstanceGroups": groups, "VolumeSizeInGB": 1})
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    seen = shown(jobs, name)
    assert seen["env"]["SM_CURRENT_INSTANCE_GROUP"] == "workers" == seen["config"]["resourceconfig"]["current_group_name"]
    assert seen["env"]["SM_CURRENT_INSTANCE_TYPE"] == "ml.c5.xlarge" and seen["env"]["SM_CHANNELS"] == '["train"]'
    with pytest.raises(jobs.sagemaker.exceptions.ClientError, match="'nobody' of channel 'train'"):
        channels[0]["DataSource"]["S3DataSource"]["InstanceGroupNames"] = ["nobody"]
        jobs.start(SHOW, InputDataConfig=channels, ResourceConfig={"InstanceGroups": groups, "VolumeSizeInGB": 1})


def test_the_job_is_walled_off(jobs):
    if not jobs.service.has_walls:
        pytest.skip("this host forbids namespaces")
    name = jobs.start("""
        import os, socket, sys, packaging
        assert socket.gethostname() == "algo-1", socket.gethostname()
        assert socket.gethostbyname("algo-1")
        # Of people's homes there is nothing but what makes up this Python, wherever that lies.
        environment = os.path.dirname(packaging.__file__).split("/lib/python")[0]
        shown = tuple(path + "/" for path in (environment, sys.prefix, sys.base_prefix))
        for home in ("/root", "/home", "/srv", "/mnt", "/media"):
            for folder, _, files in os.walk(home):
                assert (folder + "/").startswith(shown) or not files, (folder, files)
        assert len([p for p in os.listdir("/proc") if p.isdigit()]) < 8
        for path in ("/usr/x", "/etc/x", "/x"):
            try:
                open(path, "w")
                raise SystemExit("could write " + path)
            except OSError:
                pass
        open("/tmp/mine", "w").write("x")
        print("walls hold")
    """)
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert "walls hold" in jobs.lines(name)


def test_shell_entry_points_and_their_quoting(jobs):
    name = jobs.start(None, files={"run.sh": "#!/bin/sh\nfor a; do echo \"<$a>\"; done\n"},
                      program="run.sh", hyperparameters={"text": "a 'b' $HOME", "n": 1})
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    lines = jobs.lines(name)
    assert "<--text>" in lines and "<a 'b' $HOME>" in lines


def test_packages_are_installed_and_run_as_a_module(jobs):
    name = jobs.start(None, program="mytrainer.py", files={
        "setup.py": "from setuptools import setup\nsetup(name='mytrainer', version='1', py_modules=['mytrainer'])\n",
        "mytrainer.py": "print('module', __name__)\n"})
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert "module __main__" in jobs.lines(name)


def test_requirements_go_to_the_jobs_own_layer(jobs):
    name = jobs.start("""
        import six, packaging
        assert packaging.__version__ == "24.2"
        print("six", six.__version__, six.__file__)
    """, files={"requirements.txt": "# comment\r\nsix==1.16.0\r\npackaging\r\n"})
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert any(l.startswith("six 1.16.0") and "/layer/" in l for l in jobs.lines(name))
    other = jobs.run("import six")
    assert "No module named 'six'" in other["FailureReason"]


def test_a_bad_requirement_is_the_jobs_failure(jobs):
    done = jobs.run("print()", files={"requirements.txt": "no-such-package-of-trainyard==9\n"})
    assert done["TrainingJobStatus"] == "Failed"
    assert done["FailureReason"].startswith("AlgorithmError: InstallRequirementsError:")
    assert "no-such-package-of-trainyard" in done["FailureReason"]


def test_pip_in_a_script_works(jobs):
    name = jobs.start("""
        import subprocess, sys
        subprocess.check_call([sys.executable, "-m", "pip", "install", "-q", "six==1.16.0"])
        import six
        print("installed", six.__version__)
    """)
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert "installed 1.16.0" in jobs.lines(name)


def test_container_entrypoint_replaces_script_mode(jobs):
    name = jobs.start(None, AlgorithmSpecification={
        "TrainingImage": jobs.image, "TrainingInputMode": "File",
        "ContainerEntrypoint": ["/bin/bash"], "ContainerArguments": ["-c", "echo $TRAINING_JOB_NAME; exit 3"]})
    done = jobs.wait(name)
    assert done["FailureReason"] == "AlgorithmError: , exit code: 3"
    assert name in jobs.lines(name)


def test_the_job_has_its_own_s3_credentials(jobs):
    name = jobs.start("""
        import os
        assert os.environ["AWS_ACCESS_KEY_ID"].startswith("TYJK") and os.environ["AWS_SESSION_TOKEN"]
        assert os.environ["AWS_ENDPOINT_URL"] == os.environ["S3_ENDPOINT_URL"]
        print(os.environ["AWS_ACCESS_KEY_ID"])
    """)
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    isolated = jobs.run("import os; assert 'AWS_ACCESS_KEY_ID' not in os.environ",
                        EnableNetworkIsolation=True)
    assert isolated["TrainingJobStatus"] == "Completed", isolated


def test_tensorflow_jobs_without_a_saved_model_are_warned(jobs):
    tensorflow = Jobs(jobs.service, TENSORFLOW_LIKE)
    empty = tensorflow.start("print('no model')")
    served = tensorflow.start("""
        import os
        os.makedirs("/opt/ml/model/1")
        open("/opt/ml/model/1/saved_model.pb", "w").close()
    """)
    assert tensorflow.wait(empty)["TrainingJobStatus"] == "Completed", tensorflow.lines(empty)
    lines = tensorflow.lines(empty)
    assert "WARNING: No model artifact is saved under path /opt/ml/model. Your training job will not save any model " \
        "files to S3." in lines
    assert lines.index("Reporting training SUCCESS") > lines.index("no model")
    assert tensorflow.wait(served)["TrainingJobStatus"] == "Completed", tensorflow.lines(served)
    assert not [line for line in tensorflow.lines(served) if "model" in line and "WARNING" in line]
