# SPDX-License-Identifier: Apache-2.0
"""Download clients: each fetches all objects of a bucket into a folder, with the flags it is best with here."""
import filecmp
import json
import os
import pathlib
import shutil
import sys

from measuring import Contender, Failed, timed
from servers import PEERS, PROBES, REGION, has

HERE = pathlib.Path(__file__).resolve().parent


class Downloads:
    """Contenders for the objects of one bucket, which are the files of `source`."""

    def __init__(self, server, bucket, source, target, *, is_small=False, is_far=False, inside=()):
        self.server, self.bucket, self.source, self.target = server, bucket, source, target
        self.sizes = {entry.name: entry.stat().st_size for entry in os.scandir(source)}
        self.bytes = sum(self.sizes.values())
        self.is_small, self.is_far = is_small, is_far
        self.inside = list(inside)  # words before every command: another network namespace
        self.compared = set()

    def contender(self, name, flags, command, note="", **options):
        def prepare():
            if self.is_small and self.target.exists():
                # Not removed: for half a minute ext4 looks for inodes at every one that was just freed
                # (recently_deleted), which would be most of what is measured.
                number = sum(1 for _ in self.target.parent.glob(f"{self.target.name}-*"))
                self.target.rename(self.target.with_name(f"{self.target.name}-{number}"))
            shutil.rmtree(self.target, ignore_errors=True)
            self.target.mkdir(parents=True)

        def run():
            sample, output, _ = timed([*self.inside, *command], environment=self.server.environment(), **options)
            error = json.loads(output)["error"] if name == "Trainyard" else ""
            if error:
                raise Failed(error)
            self.check(name)
            sample.count = len(self.sizes) if self.is_small else self.bytes
            return sample
        return Contender(name, flags, run, prepare, note)

    def check(self, name):
        """Names and sizes after every run, all bytes after the first, which does not count."""
        found = {entry.name: entry.stat().st_size for entry in os.scandir(self.target)}
        if found != self.sizes:
            raise Failed(f"{len(found)} of {len(self.sizes)} files are there, or of wrong sizes")
        if name not in self.compared and name != "raw socket to file":
            _, wrong, odd = filecmp.cmpfiles(self.source, self.target, list(self.sizes), shallow=False)
            if wrong or odd:
                raise Failed(f"{len(wrong + odd)} files hold other bytes")
        self.compared.add(name)

    def trainyard(self):
        server = self.server
        plan = {"endpoint": server.endpoint, "region": REGION, "access_key": server.access_key,
                "secret_key": server.secret_key, "bucket": self.bucket, "folder": str(self.target), "prefix": ""}
        return self.contender("Trainyard", "download_probe: what a job's File channel calls, as it is by default",
                              [PROBES / "download_probe"], "each byte verified: the object's checksum or MD5",
                              stdin=json.dumps(plan).encode())

    def raw(self):
        urls = [self.server.client().generate_presigned_url("get_object", Params={"Bucket": self.bucket, "Key": key})
                for key in self.sizes]
        return self.contender("raw socket to file", "recv of 1 MiB, pwrite into an allocated file, one connection",
                              [sys.executable, HERE / "raw_get.py", self.target], "nothing verified; the limit",
                              stdin="\n".join(urls).encode())

    def s5cmd(self):
        workers = ["--numworkers", "64"] if self.is_small else ["--numworkers", "8"]
        parts = ["--concurrency", "1"] if self.is_small else ["--concurrency", "5", "--part-size", "64"]
        if self.is_far and not self.is_small:
            workers, parts = ["--numworkers", "16"], ["--concurrency", "16", "--part-size", "8"]
        flags = ["--log", "error", *workers]
        return self.contender("s5cmd", " ".join(["s5cmd", *flags, "cp", *parts]), [
            PEERS / "python/bin/s5cmd", "--endpoint-url", self.server.endpoint, *flags, "cp", *parts,
            f"s3://{self.bucket}/*", f"{self.target}/"], "nothing verified")

    def rclone(self, verify):
        streams = ["--multi-thread-streams", "0"]
        if self.is_far and not self.is_small:
            streams = ["--multi-thread-streams", "16", "--multi-thread-cutoff", "16M"]
        flags = [*streams, "--transfers", "64" if self.is_small else "2", "--no-check-dest",
                 *([] if verify else ["--ignore-checksum"])]
        name = "rclone, MD5" if verify else "rclone"
        return self.contender(name, " ".join(["rclone copy", *flags]), [
            "rclone", "copy", f":s3:{self.bucket}", self.target, "--config", "/dev/null", "--s3-provider", "Other",
            "--s3-env-auth", "--s3-endpoint", self.server.endpoint, "--s3-region", REGION, *flags],
            "MD5 verified" if verify else "nothing verified")

    def boto3(self, kind):
        return self.contender(f"boto3, {kind}", {
            "crt": "boto3's CRT transfer manager, target_throughput 40 Gbit/s, 8 MiB parts, without TLS",
            "classic": "TransferConfig(preferred_transfer_client='classic'), max_concurrency 10, files in 10 threads"}[kind], [
                PEERS / "python/bin/python", HERE / "boto3_get.py", kind, self.bucket, self.target],
            "CRC verified where the server sends one for what is asked; start of Python not counted",
            stdin="\n".join(self.sizes).encode())

    def aws_cli(self):
        return self.contender("AWS CLI", "aws s3 cp --recursive --quiet, 10 requests at once", [
            PEERS / "python/bin/aws", "s3", "cp", "--recursive", "--quiet", f"s3://{self.bucket}/", self.target],
            "CRC verified as by boto3")

    def all(self, *which):
        """Those of `which` that are installed."""
        makers = {"trainyard": self.trainyard, "raw": self.raw, "s5cmd": self.s5cmd,
                  "rclone": lambda: self.rclone(False), "rclone-md5": lambda: self.rclone(True),
                  "crt": lambda: self.boto3("crt"), "classic": lambda: self.boto3("classic"), "aws": self.aws_cli}
        needs = {"s5cmd": "python", "crt": "python", "classic": "python", "aws": "python", "rclone": "rclone",
                 "rclone-md5": "rclone"}
        return [makers[name]() for name in which if name not in needs or has(needs[name])]
