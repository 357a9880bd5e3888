# SPDX-License-Identifier: Apache-2.0
"""Where Trainyard differs from the toolkit on purpose. doc/differences-script-mode.md is this table for people.

A predicate looks at one compared value: `seen.key` (a variable's name, "command", "failure", …), `seen.toolkit` and
`seen.ours`, and the configuration. Each row must explain at least one difference, or the test fails."""
import dataclasses
import re
import shlex
from typing import Callable


@dataclasses.dataclass
class Seen:
    key: str
    toolkit: object
    ours: object
    job: dict
    toolkit_answer: dict = None
    our_answer: dict = None

    @property
    def hyperparameters(self):
        return dict(self.job["assignment"]["hyperparameters"])

    @property
    def environment(self):
        return dict(self.job["assignment"]["environment"])

    @property
    def failed_alone(self):
        """The toolkit's failure where ours runs."""
        failure = self.toolkit_answer["failure"] if self.key == "failure" and self.ours is None else None
        return failure or ""


@dataclasses.dataclass
class Difference:
    name: str
    what: str
    why: str
    explains: Callable[[Seen], bool]


def words_as_joined(command):
    """How toolkit 5.1.1 makes a shell's text of an argument list: blanks between, and no quoting."""
    if command[:2] == ["/bin/sh", "-c"]:
        return f'/bin/sh -c "{command[2]}"'
    return " ".join(command)


def is_plain(word):
    return shlex.quote(word) == word


def arguments_stay_whole(seen):
    return seen.key == "command" and isinstance(seen.toolkit, str) and seen.toolkit == words_as_joined(seen.ours) \
        and not all(is_plain(word) for word in seen.ours) and seen.ours[0] != "/bin/sh"


def shell_arguments_stay_whole(seen):
    return seen.key == "command" and seen.ours[:2] == ["/bin/sh", "-c"] and seen.toolkit == words_as_joined(seen.ours)


def program_is_quoted(seen):
    """A shell program's name with blanks: the toolkit quotes its arguments alone."""
    if seen.key != "command" or seen.ours[:2] != ["/bin/sh", "-c"]:
        return False
    program = shlex.split(seen.ours[2])[0]
    text = seen.toolkit if isinstance(seen.toolkit, str) else " ".join(seen.toolkit)
    return not is_plain(program) and program in text and shlex.quote(program) not in text


def no_blank_at_the_end(seen):
    if seen.key != "command" or seen.ours[:2] != ["/bin/sh", "-c"]:
        return False
    text = seen.toolkit if isinstance(seen.toolkit, str) else words_as_joined(seen.toolkit)
    return text == words_as_joined(seen.ours)[:-1] + ' "'


def quotes_are_kept(seen):
    return seen.key == "command" and isinstance(seen.toolkit, list) and seen.toolkit[:-1] == seen.ours[:-1] \
        and seen.ours[-1] != seen.toolkit[-1] == seen.ours[-1].strip('"')


def only_the_ending(seen):
    """train.pyc of a package is the module train.pyc; the toolkit drops every ".py" in the name."""
    if seen.key != "command" or seen.ours[1:2] != ["-m"]:
        return False
    theirs = [*seen.ours[:2], seen.ours[2].replace(".py", ""), *seen.ours[3:]]
    as_list = [*theirs[:-1], theirs[-1].strip('"')]
    return theirs != seen.ours and seen.toolkit in (as_list, words_as_joined(theirs))


def torchrun_by_module(seen):
    if seen.key != "command" or seen.ours[1:3] != ["-m", "torch.distributed.run"]:
        return False
    return seen.toolkit == words_as_joined(["torchrun", *seen.ours[3:]])


def host_name_of_the_kernel(seen):
    return seen.key == "mpirun" and re.sub(r" -x LD_PRELOAD=\S*/gethostname\S*", "", seen.toolkit) == seen.ours


def is_preset(name):
    def explains(seen):
        return seen.key == name and seen.ours == seen.environment.get(name)
    return explains


DIFFERENCES = [
    Difference(
        "arguments stay whole",
        "An argument with blanks, quotes or `$` reaches the script as one argument, an empty one as an empty one.",
        "The toolkit's TensorFlow and PyTorch runners join the arguments with blanks and hand them to a shell (issue 128 of "
        "aws/sagemaker-training-toolkit); its version 5.1.4 has changed that, too.",
        arguments_stay_whole),
    Difference(
        "shell arguments stay whole",
        "`.sh` and other programs get their arguments quoted once; `$` and backticks in them are text.",
        "The toolkit puts the quoted arguments into double quotes, so that an outer shell still expands them.",
        shell_arguments_stay_whole),
    Difference(
        "program names may hold blanks",
        "`two words.py` is one file name.",
        "The toolkit does not quote the program's name for the shell.",
        program_is_quoted),
    Difference(
        "no blank at the end",
        "A shell program without arguments is run as `./run.sh`.",
        "The toolkit runs `./run.sh `; a shell sees no difference.",
        no_blank_at_the_end),
    Difference(
        "quotes at the ends stay",
        "The last argument keeps the double quotes at its ends.",
        "The toolkit's generic runner strips them: they could be of its own making.",
        quotes_are_kept),
    Difference(
        "only the ending .py goes",
        "`odd.pyx.py` of a package is the module `odd.pyx`, `train.pyc` the module `train.pyc`.",
        "The toolkit removes `.py` wherever it stands; its version 5.1.4 does not.",
        only_the_ending),
    Difference(
        "torchrun is started by its module",
        "`python -m torch.distributed.run` with the arguments that torchrun gets.",
        "The torchrun program belongs to the shared environment and would not see the job's own packages.",
        torchrun_by_module),
    Difference(
        "mpirun needs no gethostname",
        "The options of mpirun without LD_PRELOAD of gethostname.so.",
        "The toolkit preloads it so that a container seems to be called algo-1; here the kernel says so.",
        host_name_of_the_kernel),
    Difference(
        "parameter servers of other groups",
        "A host outside of `sagemaker_distribution_instance_groups` runs its script without TF_CONFIG.",
        "The toolkit ends with an UnboundLocalError.",
        lambda seen: "cannot access local variable 'tf_config'" in seen.failed_alone
        or "local variable 'tf_config' referenced" in seen.failed_alone),
    Difference(
        "S3_USE_HTTPS stays",
        "S3_USE_HTTPS is what the service's endpoint needs, or what the job sets.",
        "The TensorFlow images set 1, which breaks a service that speaks plain HTTP.",
        lambda seen: seen.key == "S3_USE_HTTPS" and seen.ours == seen.environment.get("S3_USE_HTTPS", "0")),
    Difference(
        "S3_REGION is the service's",
        "S3_REGION is the service's region, or what the job sets.",
        "The TensorFlow images ask S3 for the region of model_dir's bucket, and fail where they may not.",
        lambda seen: seen.key == "S3_REGION" and seen.ours == seen.environment.get("S3_REGION", "us-west-2")),
    Difference(
        "TF_CPP_MIN_LOG_LEVEL of the job",
        "The job's own TF_CPP_MIN_LOG_LEVEL wins.",
        "The TensorFlow images set 1 over it.",
        is_preset("TF_CPP_MIN_LOG_LEVEL")),
    Difference(
        "NCCL is left alone",
        "NCCL_SOCKET_IFNAME, NCCL_IB_DISABLE, NCCL_DEBUG, NCCL_PROTO are not set.",
        "They describe the network of AWS's instances: eth0, no InfiniBand.",
        lambda seen: seen.key.startswith("NCCL_") and seen.ours == seen.environment.get(seen.key)),
    Difference(
        "PYTHONPATH is short",
        "PYTHONPATH is /opt/ml/code and what the job adds.",
        "The toolkit writes down its own sys.path, with the standard library of its own Python.",
        lambda seen: seen.key == "PYTHONPATH" and seen.toolkit.startswith(seen.ours.split(":")[0])),
    Difference(
        "failures are one sentence",
        "A program that is not named, a NUL, half a surrogate pair, `=` in a hyperparameter's name: the job fails with a sentence.",
        "The toolkit fails as well, with `Framework Error:` and its own traceback.",
        lambda seen: seen.key == "failure" and seen.ours is not None and (seen.toolkit or "").startswith("Framework Error:")),
    Difference(
        "model_dir may be anything",
        "A model_dir that is a number, a truth or a list is passed on.",
        "The TensorFlow images end with an AttributeError.",
        lambda seen: "has no attribute 'startswith'" in seen.failed_alone and "model_dir" in seen.hyperparameters),
    Difference(
        "a program may look like a number",
        "sagemaker_program `3` is the file 3.",
        "The toolkit reads it as JSON and ends with an AttributeError.",
        lambda seen: "has no attribute 'endswith'" in seen.failed_alone),
]

# Of scripts that failed: what stands in FailureReason against the toolkit's failure file.
REAL_DIFFERENCES = [
    Difference(
        "the last exception is the message",
        "ErrorMessage holds the script's last exception, or the end of its output where there is none.",
        "The toolkit copies from the first line with a known name on, which may be a warning long before, and leaves the message "
        "empty for exceptions that it does not know.",
        lambda seen: seen.key == "message" and seen.job["last"] != "" and seen.ours.startswith(seen.job["last"])),
    Difference(
        "the message says how it ended",
        "Where no exception ended the script, ErrorMessage says how it ended, and what it printed last.",
        "The toolkit leaves the message empty, or copies from a known name on that has nothing to do with the end.",
        lambda seen: seen.key == "message" and seen.ours.startswith(("exit code ", "ended as by SIG"))),
    Difference(
        "the command is quoted",
        "Command shows the command as it can be typed into a shell.",
        "The toolkit joins the words with blanks.",
        lambda seen: seen.key == "command"
        and [word.strip() for word in shlex.split(seen.ours)] == [word.strip() for word in shlex.split(seen.toolkit)]),
]

# What no comparison of values can show; each has a test of its own, in test_toolkit.py or training/test_distributed.py.
OTHER_DIFFERENCES = [
    Difference(
        "SIGTERM reaches the script",
        "Stopping a job sends SIGTERM to the script and all it started, and SIGKILL 120 s later.",
        "In the AWS images the signal ends at a process that passes it to nobody (issue 125 of the toolkit).",
        None),
    Difference(
        "mpirun without ssh",
        "mpirun reaches the other instances through the agents there, at once, and they end with it; no sshd, no key, no root.",
        "The toolkit starts sshd with a key that every image holds, and waits 30 s at both ends.",
        None),
]


def explanation(seen, rows=None):
    return next((row for row in (DIFFERENCES if rows is None else rows) if row.explains(seen)), None)


def document():
    """The table of doc/differences-script-mode.md."""
    lines = ["| difference | what Trainyard does | why |", "|---|---|---|"]
    lines += [f"| {row.name} | {row.what} | {row.why} |".replace("\n", " ")
              for row in DIFFERENCES + REAL_DIFFERENCES + OTHER_DIFFERENCES]
    return "\n".join(lines) + "\n"
