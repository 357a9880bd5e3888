# SPDX-License-Identifier: Apache-2.0
"""Script mode against SageMaker's own toolkit: both get the same jobs, and every difference is one of a table.

Variables, arguments and commands of 2,000 random jobs; and scripts with many ends, really run by both."""
import collections
import json
import os
import pathlib
import re
import signal
import subprocess
import time

from conftest import PROGRAM, ROOT, TENSORFLOW_LIKE, Jobs
from configurations import configurations
from differences import DIFFERENCES, REAL_DIFFERENCES, Seen, document, explanation, is_plain, words_as_joined
from scripts import SCRIPTS

TOOLKIT = pathlib.Path(os.environ.get("TOOLKIT", ROOT / "build/toolkit"))
PROBE = PROGRAM.parent / "script_probe"
FOLDER = pathlib.Path(__file__).parent
COUNT, SEED = (int(os.environ.get("DIFFERENTIAL_" + name, default)) for name, default in (("COUNT", 2000), ("SEED", 20261125)))

FRAMEWORKS = {"tensorflow": "tensorflow:2.19", "pytorch": "pytorch:2.6", "": ""}

# What the platform gives to every process of a job; not the toolkit's doing, on either side.
PLATFORM = {"PATH", "HOME", "USER", "LANG", "PYTHONUNBUFFERED", "VIRTUAL_ENV", "TRAINING_JOB_ARN", "AWS_REGION",
            "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_S3", "AWS_EC2_METADATA_DISABLED", "S3_ENDPOINT_URL", "S3_ENDPOINT", "S3_VERIFY_SSL",
            "SAGEMAKER_BASE_DIR", "SM_STUDIO_LOCAL_MODE", "SAGEMAKER_TRAINING_MODULE"}


def ask(program, jobs, folder):
    questions, answers = folder / "questions", folder / "answers"
    questions.write_text("".join(json.dumps(job) + "\n" for job in jobs))
    if program == PROBE:
        with open(questions) as source, open(answers, "w") as target:
            subprocess.run([PROBE, ROOT / "config/environments.toml", folder / "probe"], stdin=source, stdout=target, check=True)
    else:
        subprocess.run([TOOLKIT / "bin/python", FOLDER / "toolkit.py", folder / "ml", questions, answers], check=True)
    lines = answers.read_text().split("\n")[:-1]
    assert len(lines) == len(jobs)
    return [json.loads(line) for line in lines]


def is_the_same_for_a_shell(command):
    """Without quotes in between: each word as it is, a shell's text within double quotes."""
    if command[:2] == ["/bin/sh", "-c"]:
        return all(is_plain(word) for word in command[2].split(" "))
    return all(is_plain(word) for word in command)


DOCUMENTS = ("SM_TRAINING_ENV", "SM_HPS", "SM_FRAMEWORK_PARAMS", "SM_RESOURCE_CONFIG", "SM_INPUT_DATA_CONFIG")


def apart(command):
    """mpirun with its options as one text, whether mpi4py stands between, and the script's command."""
    if isinstance(command, list):
        end = command.index("PYTHONPATH") + 1
        options, rest = " ".join(command[:end]), command[end:]
        has_mpi4py = rest[1:3] == ["-m", "mpi4py"]
        return options, has_mpi4py, rest[:1] + rest[3:] if has_mpi4py else rest
    end = command.index(" -x PYTHONPATH ") + len(" -x PYTHONPATH ")
    options, rest = command[:end].strip(), command[end:]
    has_mpi4py = rest.split(" ")[1:3] == ["-m", "mpi4py"]
    return options, has_mpi4py, rest.replace(" -m mpi4py", "", 1) if has_mpi4py else rest


class Comparison:
    def __init__(self, rows):
        self.rows = rows
        self.values = 0
        self.explained = collections.Counter()
        self.unexplained = []

    def compare(self, key, toolkit, ours, job, toolkit_answer, our_answer):
        self.values += 1
        if toolkit == ours:
            return
        seen = Seen(key, toolkit, ours, job, toolkit_answer, our_answer)
        row = explanation(seen, self.rows)
        if row is not None:
            self.explained[row.name] += 1
        else:
            self.unexplained.append(f"#{job['number']} {job['framework']} {key}:\n  toolkit {toolkit!r}\n  ours    {ours!r}")

    def compare_commands(self, job, toolkit, ours):
        """A shell's text means the same as ours only where no word needs quotes: else it is a difference of the table."""
        theirs, command = toolkit["started"]["command"], ours["command"]
        if command[0] == "mpirun":
            (their_options, *their_mpi4py, theirs), (options, *mpi4py, command) = apart(theirs), apart(command)
            self.compare("mpirun", their_options, options, job, toolkit, ours)
            self.compare("mpi4py", their_mpi4py, mpi4py, job, toolkit, ours)
        if theirs == words_as_joined(command) and is_the_same_for_a_shell(command):
            theirs = command
        self.compare("command", theirs, command, job, toolkit, ours)

    def compare_answers(self, job, toolkit, ours):
        failure = ours.get("failure")
        text = failure.removeprefix("AlgorithmError: ").removesuffix(", exit code: 1") if failure else None
        self.compare("failure", toolkit["failure"], text, job, toolkit, ours)
        if failure is not None or toolkit["failure"] is None:
            self.compare("exit code", toolkit["exit_code"], 1 if failure else 0, job, toolkit, ours)
        if toolkit["failure"] is not None or failure is not None:
            return
        self.compare_commands(job, toolkit, ours)
        self.compare("servers", toolkit["servers"], int(ours["beside"] == "parameter_server"), job, toolkit, ours)
        theirs, mine = toolkit["started"]["variables"], ours["variables"]
        for name in sorted((theirs.keys() | mine.keys()) - PLATFORM):
            if name in DOCUMENTS and theirs.get(name) != mine.get(name):
                self.compare_members(name, theirs[name], mine[name], job, toolkit, ours)
            else:
                self.compare(name, theirs.get(name), mine.get(name), job, toolkit, ours)
        self.values += sum(len(json.loads(theirs[name])) for name in DOCUMENTS)

    def compare_members(self, name, theirs, mine, *rest):
        """One by one what a document holds, as text: its NaN differs from itself."""
        theirs, mine = ({key: json.dumps(value) for key, value in json.loads(text).items()} for text in (theirs, mine))
        for key in sorted(theirs.keys() | mine.keys()):
            self.compare(f"{name}.{key}", theirs.get(key), mine.get(key), *rest)

    def report(self, capsys, what):
        with capsys.disabled():
            print(f"\n{what}, {self.values} values compared, {len(self.unexplained)} differences unexplained; on purpose:")
            for row in self.rows:
                print(f"  {self.explained[row.name]:6} {row.name}")
        assert not self.unexplained, "\n".join(self.unexplained[:20])
        assert not [row.name for row in self.rows if not self.explained[row.name]], "no difference there any more"


def test_the_same_jobs_make_the_same_scripts(tmp_path, capsys):
    jobs = configurations(COUNT, SEED)
    toolkit = ask(TOOLKIT, jobs, tmp_path)
    # Ours sees the folders of the toolkit's run, and its Python.
    ours = ask(PROBE, [job | {"ml": str(tmp_path / "ml"), "layer": str(TOOLKIT), "framework": FRAMEWORKS[job["framework"]]}
                       for job in jobs], tmp_path)
    comparison = Comparison(DIFFERENCES)
    for job, theirs, mine in zip(jobs, toolkit, ours):
        comparison.compare_answers(job, theirs, mine)
    comparison.report(capsys, f"{len(jobs)} configurations")


def toolkit_command(program, text, hyperparameters, folder):
    """The toolkit's command for a job with that program, below `folder`/ml."""
    folder.mkdir()
    base = folder / "ml"
    job = configurations(1, SEED)[0]
    job |= {"framework": "tensorflow", "has_setup": False, "files": {program: text.replace("/opt/ml", str(base))}}
    job["assignment"] |= {"environment": [], "channels": [], "hosts": ["algo-1"], "host": "algo-1", "instance_groups": [],
                          "hyperparameters": [["sagemaker_program", program], *map(list, hyperparameters.items())]}
    (folder / "job").write_text(json.dumps(job))
    return [TOOLKIT / "bin/python", FOLDER / "toolkit.py", base, folder / "job", "--train"]


def run_by_toolkit(script, folder):
    """Its failure file in parts, the process' exit status, and its warnings."""
    done = subprocess.run(toolkit_command(script.program, script.text, script.hyperparameters, folder), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    failure = folder / "ml/output/failure"
    # SageMaker reads the file of a job that failed alone.
    text = failure.read_text(errors="replace") if failure.exists() and done.returncode != 0 else None
    log = done.stdout.decode(errors="replace")
    warnings = re.findall(r"^\S+ \S+ sagemaker_tensorflow_container.training WARNING  (.*?)(?=^\d{4}-\d\d-|\Z)", log, re.M | re.S)
    return parts(text, str(TOOLKIT / "bin/python")) | {
        "status": done.returncode, "warnings": "\n".join(warnings).strip().replace(str(folder / "ml"), "/opt/ml")}


def parts(text, python):
    found = re.fullmatch(r'(\w+):\nExitCode (-?\d+)\nErrorMessage "(.*?)"(?:\nExtraInfo "(.*)")?\nCommand "(.*)"', text or "", re.S)
    if not found:
        return {"text": text}
    names = ("kind", "exit code", "message", "extra", "command")
    return dict(zip(names, found.groups())) | {"command": found[5].replace(python, "python")}


def described(jobs, name):
    """The same of our job, out of FailureReason and the log."""
    done = jobs.wait(name)
    reason = done.get("FailureReason")
    found = re.fullmatch(r"AlgorithmError: (.*), exit code: (\d+)", reason or "", re.S)
    if reason:
        assert found, reason
    lines = jobs.lines(name)
    first = next((index for index, line in enumerate(lines) if line.startswith("WARNING: ")), len(lines))
    last = lines.index("Reporting training SUCCESS") if "Reporting training SUCCESS" in lines else first
    python = re.search(r'[^\s"]+/layer/bin/python', reason or "")
    return parts(found and found[1], python[0] if python else "python") | {
        "status": int(found[2]) if found else 0, "warnings": "\n".join(lines[first:last]).removeprefix("WARNING: ")}


def test_scripts_that_fail_end_with_the_same_failure(jobs, tmp_path, capsys):
    ours = Jobs(jobs.service, TENSORFLOW_LIKE)
    names = [ours.start(script.text, program=script.program, hyperparameters={}, raw_hyperparameters=script.hyperparameters)
             for script in SCRIPTS]
    comparison = Comparison(REAL_DIFFERENCES)
    for number, (script, name) in enumerate(zip(SCRIPTS, names)):
        theirs, mine = run_by_toolkit(script, tmp_path / str(number)), described(ours, name)
        job = {"number": number, "framework": script.name, "last": script.last}
        for key in sorted(theirs.keys() | mine.keys()):
            comparison.compare(key, theirs.get(key), mine.get(key), job, theirs, mine)
    comparison.report(capsys, f"{len(SCRIPTS)} scripts run by both")


PATIENT = """
import os, signal, sys, time
def note(*unused):
    open("/opt/ml/model/signal", "w").close()
    sys.exit(0)
signal.signal(signal.SIGTERM, note)
open("/opt/ml/model/ready", "w").close()
print("ready", flush=True)
while not os.path.exists("/opt/ml/model/end"):
    time.sleep(0.01)
open("/opt/ml/model/ended", "w").close()
"""


def await_file(path):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


def test_sigterm_reaches_the_script_here_and_not_by_the_toolkit(jobs, tmp_path):
    """The row "SIGTERM reaches the script"."""
    name = jobs.start(PATIENT)
    model = tmp_path / "toolkit/ml/model"
    with open(tmp_path / "log", "wb") as log:
        launcher = subprocess.Popen(toolkit_command("train.py", PATIENT, {}, tmp_path / "toolkit"), stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log)
        await_file(model / "ready")
        launcher.terminate()
        assert launcher.wait(60) == -signal.SIGTERM
    (model / "end").touch()
    await_file(model / "ended")
    assert not (model / "signal").exists()

    jobs.wait_for_line(name, "ready")
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    assert jobs.wait(name)["TrainingJobStatus"] == "Stopped"
    assert set(jobs.archive(name)) == {"ready", "signal"}


def test_the_document_is_the_table():
    text = (ROOT / "doc/differences-script-mode.md").read_text()
    assert text[text.index("| difference |"):] == document()
