# SPDX-License-Identifier: Apache-2.0
"""What SageMaker's own toolkit makes of jobs; runs in build/toolkit, which holds it.

usage: toolkit.py BASE_DIR QUESTIONS ANSWERS     one JSON document a line
       toolkit.py BASE_DIR JOB --train           runs one job for real, as the images do

The toolkit's own code runs from its entry point down to the start of the script's process, which is
written down instead. Patched, beside that start: facts of the host, waiting for other hosts, TensorFlow
itself (a stub that knows the names of its errors) and the call to S3 for a bucket's region."""
import json
import logging
import os
import pathlib
import shutil
import sys
import types

base, = sys.argv[1:2]
for folder in ("code", "model", "input/config", "output/data"):
    os.makedirs(os.path.join(base, folder), exist_ok=True)
os.environ["SAGEMAKER_BASE_DIR"] = base

ERRORS = """AbortedError AlreadyExistsError CancelledError DataLossError DeadlineExceededError FailedPreconditionError
InaccessibleTensorError InternalError InvalidArgumentError NotFoundError OpError OperatorNotAllowedInGraphError OutOfRangeError
PermissionDeniedError ResourceExhaustedError UnauthenticatedError UnavailableError UnimplementedError UnknownError
raise_exception_on_not_ok_status""".split()  # the classes of errors_impl.py of TensorFlow 2.19.1
servers = []


def stub_tensorflow():
    names = ["tensorflow", "tensorflow.python", "tensorflow.python.framework", "tensorflow.python.framework.errors_impl"]
    stubs = {name: types.ModuleType(name) for name in names}
    for name, stub in stubs.items():
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(stubs[parent], child, stub)
    for error in ERRORS:
        setattr(stubs[names[-1]], error, type(error, (Exception,), {}))
    stub = stubs["tensorflow"]
    stub.train = types.SimpleNamespace(ClusterSpec=lambda cluster: cluster)
    stub.compat = types.SimpleNamespace(v1=types.SimpleNamespace(ConfigProto=lambda **options: options))
    stub.distribute = types.SimpleNamespace(Server=lambda cluster, **options: servers.append(cluster) or types.SimpleNamespace(join=None))
    sys.modules.update(stubs)


stub_tensorflow()

import sagemaker_pytorch_container.training as pytorch  # noqa: E402
import sagemaker_tensorflow_container.s3_utils  # noqa: E402
import sagemaker_tensorflow_container.training as tensorflow  # noqa: E402
from sagemaker_training import environment, mpi, process, trainer  # noqa: E402

tensorflow.MODEL_DIR = os.path.join(base, "model")
MODULES = {"tensorflow": "sagemaker_tensorflow_container.training:main",
           "pytorch": "sagemaker_pytorch_container.training:main"}


def set_variables(job):
    """What the platform and the image set before the toolkit starts."""
    server = job["assignment"]["server"]
    os.environ.clear()
    os.environ.update({
        "PATH": "/usr/bin:/bin", "SAGEMAKER_BASE_DIR": base, "TRAINING_JOB_NAME": job["assignment"]["job_name"],
        "AWS_REGION": server["region"], "AWS_DEFAULT_REGION": server["region"], "S3_REGION": server["region"],
        "S3_USE_HTTPS": "0", "SM_STUDIO_LOCAL_MODE": "true", "AWS_EC2_METADATA_DISABLED": "true"})
    os.environ.update(dict(job["assignment"]["environment"]))
    if job["framework"]:
        os.environ["SAGEMAKER_TRAINING_MODULE"] = MODULES[job["framework"]]


def write_files(job):
    assignment = job["assignment"]
    groups = assignment["instance_groups"] or [
        {"name": "homogeneousCluster", "instance_type": assignment["instance_type"], "hosts": assignment["hosts"]}]
    current = next(group for group in groups if assignment["host"] in group["hosts"])
    files = {
        "hyperparameters": dict(assignment["hyperparameters"]),
        "inputdataconfig": {channel["name"]: {
            "TrainingInputMode": channel["input_mode"], "S3DistributionType": channel["distribution"],
            "RecordWrapperType": "RecordIO" if channel["is_record_io"] else "None",
            **({"ContentType": channel["content_type"]} if channel["content_type"] else {})} for channel in assignment["channels"]},
        "resourceconfig": {
            "current_host": assignment["host"], "current_instance_type": current["instance_type"],
            "current_group_name": current["name"], "hosts": assignment["hosts"],
            "instance_groups": [{"instance_group_name": group["name"], "instance_type": group["instance_type"],
                                 "hosts": group["hosts"]} for group in groups],
            "network_interface_name": "eth0", "topology": None}}
    for name, document in files.items():
        pathlib.Path(base, "input/config", name + ".json").write_text(json.dumps(document))
    code = pathlib.Path(base, "code")
    shutil.rmtree(code)
    code.mkdir()
    (code / "README").touch()  # a folder with anything in it is not downloaded to
    if job["has_setup"]:
        (code / "setup.py").touch()
    hyperparameters = dict(assignment["hyperparameters"])
    for program in (dict(assignment["environment"]).get("SAGEMAKER_PROGRAM"), hyperparameters.get("sagemaker_program", "").strip('"')):
        if program:
            (code / program).parent.mkdir(exist_ok=True, parents=True)
            (code / program).touch()
    for name in ("failure", "success"):
        pathlib.Path(base, "output", name).unlink(missing_ok=True)


class Recorder:
    """Stands where the toolkit starts processes."""

    def __init__(self):
        self.started = []

    def note(self, command):
        self.started.append({"command": command, "variables": dict(os.environ)})

    async def shell(self, command, env, **options):
        self.started.append({"command": command, "variables": dict(env)})

        async def wait():
            return 0
        return types.SimpleNamespace(stdout=None, stderr=None, wait=wait)

    def popen(self, command, env, **options):
        self.started.append({"command": list(command), "variables": dict(env)})
        return types.SimpleNamespace(wait=lambda: 0)


def patch(recorder, state):
    process.asyncio = types.SimpleNamespace(**{name: getattr(process.asyncio, name) for name in ("run", "gather")},
                                            create_subprocess_shell=recorder.shell)
    process.subprocess = types.SimpleNamespace(Popen=recorder.popen)
    facts = {"num_cpus": len(os.sched_getaffinity(0)), "num_gpus": environment.num_gpus(), "validate_smddprun": False,
             "validate_smddpmprun": False}
    for name, fact in facts.items():
        setattr(environment, name, lambda fact=fact: fact)
    environment.num_neurons = lambda instance_type: 0
    mpi._start_sshd_daemon = lambda: None
    mpi._can_connect = mpi._write_status_file = lambda *names: True
    mpi.time = types.SimpleNamespace(sleep=lambda seconds: None)
    mpi.WorkerRunner.run = lambda self, *options: recorder.note("wait for mpirun")
    tensorflow._wait_until_master_is_down = lambda master: None
    tensorflow.multiprocessing = types.SimpleNamespace(Process=lambda target: types.SimpleNamespace(start=lambda: None))
    location = types.SimpleNamespace(get_bucket_location=lambda Bucket: {"LocationConstraint": state["bucket_region"]})
    sagemaker_tensorflow_container.s3_utils.boto3 = types.SimpleNamespace(client=lambda name, region_name: location)


def answer(job, recorder, state):
    recorder.started.clear()
    servers.clear()
    state["bucket_region"] = job["bucket_region"]
    write_files(job)
    set_variables(job)
    before = list(sys.path)
    try:
        trainer.train()
    except SystemExit as ended:
        code = ended.code
    sys.path[:] = before
    failure = pathlib.Path(base, "output/failure")
    # The last one is the script: pip installs packages before.
    return {"started": recorder.started[-1] if recorder.started else None, "exit_code": code, "servers": len(servers),
            "failure": failure.read_text(errors="surrogateescape") if failure.exists() else None}


def main():
    logging.disable(logging.CRITICAL)
    recorder, state = Recorder(), {}
    patch(recorder, state)
    with open(sys.argv[2]) as questions, open(sys.argv[3], "w") as answers:
        for line in questions:
            print(json.dumps(answer(json.loads(line), recorder, state)), file=answers)
    return pytorch and 0


def train():
    job = json.loads(pathlib.Path(sys.argv[2]).read_text())
    write_files(job)
    for name, text in job["files"].items():
        pathlib.Path(base, "code", name).write_text(text)
    set_variables(job)
    trainer.train()


if __name__ == "__main__":
    sys.exit(train() if sys.argv[3] == "--train" else main())
