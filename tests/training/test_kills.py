# SPDX-License-Identifier: Apache-2.0
"""A TensorFlow script whose instance is killed at random instants: each attempt goes on from the newest whole
checkpoint. KILLS=200 is the long run; the seed is printed and can be given as SEED."""
import os
import random
import signal
import time

from conftest import TENSORFLOW_ARGUMENTS, Jobs
from test_attempts import checkpoint, processes
from test_failures import TENSORFLOW

KILLS = int(os.environ.get("KILLS", "8"))
SEED = int(os.environ.get("SEED", str(random.randrange(10**6))))
MOST_ATTEMPTS = 30  # RetryStrategy's limit

SCRIPT = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
step, weights = tf.Variable(0, dtype=tf.int64), tf.Variable(tf.zeros([300_000]))
manager = tf.train.CheckpointManager(tf.train.Checkpoint(step=step, weights=weights), "/opt/ml/checkpoints/model",
                                     max_to_keep=3)
manager.restore_or_initialize()
torn = int(tf.reduce_sum(tf.cast(weights != float(step), tf.int32)))
print(f"resumed {int(step)} torn {torn}")
while True:
    step.assign_add(1)
    weights.assign_add(tf.ones([300_000]))
    manager.save(checkpoint_number=int(step))
    print(f"saved {int(step)}")  # in one piece: a kill may come between two
"""


def steps(jobs, name, word):
    return [int(line.split()[1]) for line in jobs.lines(name) if line.startswith(word)]


def wait_for_attempt(jobs, name, number):
    deadline = time.monotonic() + 120
    while len(steps(jobs, name, "resumed")) < number:
        assert time.monotonic() < deadline, (jobs.describe(name), jobs.lines(name)[-5:])
        time.sleep(0.05)


def kill_instance(service, name, chance):
    """The supervisor, its agent, or both in either order; what they led ends with them."""
    for command in chance.choice((("supervise",), ("supervise", "agent"), ("agent", "supervise"))):
        for process in processes(service, name, command):
            os.kill(process, signal.SIGKILL)


def run_job(service, jobs, kills, chance):
    """Returns the steps that the script resumed from, and the last one that it had saved before each."""
    name = jobs.start(SCRIPT, RetryStrategy={"MaximumRetryAttempts": MOST_ATTEMPTS},
                      StoppingCondition={"MaxRuntimeInSeconds": 86400}, **checkpoint(jobs))
    for number in range(1, kills + 1):
        wait_for_attempt(jobs, name, number)
        time.sleep(chance.uniform(0, 1.5))  # the instant is what is random here
        kill_instance(service, name, chance)
    wait_for_attempt(jobs, name, kills + 1)
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    assert jobs.wait(name)["TrainingJobStatus"] == "Stopped"
    return jobs.lines(name)


def check(lines, saved):
    """Every attempt resumed where the last save was, whole. Returns the last step that was saved."""
    for line in lines:
        words = line.split()
        if words[:1] == ["saved"]:
            saved = int(words[1])
        if words[:1] == ["resumed"]:
            assert int(words[1]) >= saved, f"resumed from {words[1]} though {saved} was saved"
            assert words[3] == "0", line
            saved = int(words[1])
    return saved


def test_every_resume_finds_the_newest_whole_checkpoint(own_service):
    print("SEED", SEED)
    chance = random.Random(SEED)
    service = own_service(*TENSORFLOW_ARGUMENTS, "--stop-grace-seconds", "5")
    jobs = Jobs(service, TENSORFLOW)
    killed, saved, resumed = 0, 0, 0
    while killed < KILLS:
        kills = min(MOST_ATTEMPTS, KILLS - killed)
        lines = run_job(service, jobs, kills, chance)
        saved = check(lines, saved)
        resumed += sum(line.startswith("resumed") for line in lines)
        killed += kills
    print(f"{killed} kills, {resumed} starts, {saved} steps saved")
    assert saved > killed
