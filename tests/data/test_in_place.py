# SPDX-License-Identifier: Apache-2.0
"""Channels whose objects lie in the store of this host: shown in place, and safe from the script."""
import os

import pytest
from conftest import PLAIN_ARGUMENTS, Jobs

BLOB = os.urandom(1 << 20)


def channel(jobs, mode="File", name="train", prefix="in"):
    return {"ChannelName": name, "InputMode": mode, "DataSource": {"S3DataSource": {
        "S3DataType": "S3Prefix", "S3Uri": f"s3://{jobs.bucket}/{prefix}"}}}


def put(jobs, prefix="in", count=3):
    for number in range(count):
        jobs.s3.put_object(Bucket=jobs.bucket, Key=f"{prefix}/part-{number}", Body=BLOB)
    jobs.s3.put_object(Bucket=jobs.bucket, Key=f"{prefix}/deep/er/part", Body=b"deep")


def objects_are_untouched(jobs, prefix="in", count=3):
    bodies = [jobs.s3.get_object(Bucket=jobs.bucket, Key=f"{prefix}/part-{n}")["Body"].read() for n in range(count)]
    return bodies == [BLOB] * count


def told(jobs, name, channel="train"):
    return next(line for line in jobs.lines(name) if line.startswith(f"Channel {channel}: "))


def needs_walls(jobs):
    if not jobs.service.has_walls:
        pytest.skip("this host forbids namespaces: channels are copied")


@pytest.mark.parametrize("mode", ["File", "FastFile"])
def test_no_byte_moves(jobs, mode):
    needs_walls(jobs)
    put(jobs)
    name = jobs.start("""
        import os, shutil
        shutil.copytree("/opt/ml/input/data/train", "/opt/ml/model/copy")
        print("INODE", *(os.stat(f"/opt/ml/input/data/train/part-{n}").st_nlink for n in range(3)))
    """, InputDataConfig=[channel(jobs, mode)])
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert told(jobs, name).endswith("(in place, no byte moved)"), jobs.lines(name)
    assert jobs.archive(name) == {f"copy/part-{n}": BLOB for n in range(3)} | {"copy/deep/er/part": b"deep"}
    assert "INODE 2 2 2" in jobs.lines(name)  # a link beside the store's own


def test_a_file_channel_is_writable_and_the_store_is_not(jobs):
    needs_walls(jobs)
    put(jobs)
    script = """
        import os, mmap
        root = "/opt/ml/input/data/train/"
        with open(root + "part-0", "r+b") as file:            # in place
            file.seek(10); file.write(b"written")
        with open(root + "part-1", "r+b") as file:            # through memory
            memory = mmap.mmap(file.fileno(), 0); memory[0:4] = b"mmap"; memory.flush()
        os.truncate(root + "part-2", 5)
        os.chmod(root + "deep/er/part", 0o755)
        os.rename(root + "deep/er/part", root + "moved")
        open(root + "new", "w").write("new")
        assert open(root + "part-0", "rb").read()[10:17] == b"written"
        assert open(root + "part-1", "rb").read()[:4] == b"mmap"
        assert os.path.getsize(root + "part-2") == 5 and os.access(root + "moved", os.X_OK)
    """
    for _ in range(2):  # a second job finds what was uploaded, not what the first one wrote
        name = jobs.start(script, InputDataConfig=[channel(jobs)])
        assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
        assert objects_are_untouched(jobs)


def test_a_fast_file_channel_cannot_be_written(jobs):
    needs_walls(jobs)
    put(jobs)
    name = jobs.start("""
        import os
        root = "/opt/ml/input/data/train/"
        for attempt in (lambda: open(root + "part-0", "r+b"), lambda: open(root + "new", "w"),
                        lambda: os.remove(root + "part-0"), lambda: os.chmod(root + "part-0", 0o777)):
            try:
                attempt()
            except OSError as error:
                print("REFUSED", error.errno)
    """, InputDataConfig=[channel(jobs, "FastFile")])
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert len([line for line in jobs.lines(name) if line.startswith("REFUSED")]) == 4
    assert objects_are_untouched(jobs)


def test_an_object_replaced_meanwhile_stays_as_it_was_for_the_job(jobs):
    needs_walls(jobs)
    put(jobs)
    name = jobs.start("""
        import os, signal, sys
        def end(*_):
            same = all(len(open(f"/opt/ml/input/data/train/part-{n}", "rb").read()) == 1 << 20 for n in range(3))
            print("SAME" if same else "CHANGED", flush=True)
            sys.exit()
        signal.signal(signal.SIGTERM, end)
        print("READY", flush=True)
        while True:
            signal.pause()
    """, InputDataConfig=[channel(jobs, "FastFile")])
    jobs.wait_for_line(name, "READY")
    jobs.s3.put_object(Bucket=jobs.bucket, Key="in/part-0", Body=b"other")
    jobs.s3.delete_object(Bucket=jobs.bucket, Key="in/part-1")
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    assert jobs.wait(name)["TrainingJobStatus"] == "Stopped", jobs.lines(name)
    assert "SAME" in jobs.lines(name)


def test_channels_that_are_run_in_place_are_copies(jobs):
    """SDK v3 does chmod and writes there."""
    put(jobs, "code", 1)
    name = jobs.start("""
        import os
        os.chmod("/opt/ml/input/data/code/part-0", 0o755)
        print("LINKS", os.stat("/opt/ml/input/data/code/part-0").st_nlink)
    """, InputDataConfig=[channel(jobs, name="code", prefix="code")])
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert "LINKS 1" in jobs.lines(name)


def test_without_walls_channels_are_copies(own_service):
    jobs = Jobs(own_service("--isolation", "process", *PLAIN_ARGUMENTS))
    put(jobs)
    name = jobs.start("""
        import os
        root = os.environ["SM_CHANNEL_TRAIN"]
        open(os.path.join(root, "part-0"), "r+b").write(b"written")
    """, InputDataConfig=[channel(jobs)])
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert objects_are_untouched(jobs)


def test_twenty_channels_of_all_modes(jobs):
    put(jobs)
    modes = ["File", "FastFile", "Pipe"]
    channels = [channel(jobs, modes[n % 3], f"channel-{n}") for n in range(20)]
    name = jobs.start("""
        import os, threading
        sizes = {}
        def read(n):
            path = f"/opt/ml/input/data/channel-{n}"
            if n % 3 == 2:
                with open(path + "_0", "rb") as pipe:
                    sizes[n] = len(pipe.read())
            else:
                sizes[n] = sum(os.path.getsize(f"{path}/part-{i}") for i in range(3)) + os.path.getsize(path + "/deep/er/part")
        readers = [threading.Thread(target=read, args=(n,)) for n in range(20)]
        [reader.start() for reader in readers]
        [reader.join() for reader in readers]
        print("SIZES", set(sizes.values()), len(sizes))
    """, InputDataConfig=channels)
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    assert f"SIZES {{{3 * len(BLOB) + 4}}} 20" in jobs.lines(name)


def test_a_single_object_is_a_channel(jobs):
    put(jobs)
    for mode in ("File", "FastFile"):
        name = jobs.start("import os; print('FILES', os.listdir('/opt/ml/input/data/train'))",
                          InputDataConfig=[channel(jobs, mode, prefix="in/part-1")])
        assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.lines(name)
        assert "FILES ['part-1']" in jobs.lines(name)


def test_a_partial_prefix_is_refused_in_fast_file_mode_in_sagemakers_words(jobs):
    put(jobs)
    name = jobs.start("", InputDataConfig=[channel(jobs, "FastFile", prefix="in/par")])
    assert jobs.wait(name)["FailureReason"] == (
        "ClientError: Data download failed:Failed to download data. For FastFile mode, partial S3 prefix is not supported. "
        "S3 prefix has to end with a full file or folder. Current S3 prefix: [in/par], found S3 object: [in/part-0].")
