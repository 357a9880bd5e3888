# SPDX-License-Identifier: Apache-2.0
"""File mode's downloads from a server that fails and lies in every way: right bytes, or an error that names
the object and the byte. Nothing hangs."""
import fcntl
import hashlib
import os
import random
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import downloading  # noqa: E402
from downloading import fetch, names, request, start  # noqa: E402
from lying_server import PASSING, STALLS, LyingServer  # noqa: E402

MIB = 1 << 20


@pytest.fixture(autouse=True, params=["buffered", "direct"])
def way(request, monkeypatch):
    """Each test once with writes to the page cache, once past it."""
    monkeypatch.setattr(downloading, "ALWAYS", {"direct_from": 0 if request.param == "direct" else 1 << 60})
    return request.param


def some_bytes(count, seed=1):
    return random.Random(seed).randbytes(count)


def first_time(fault, count=1, method="GET"):
    """The fault for the first `count` requests of that method."""
    left = [count]

    def choose(seen, number):
        if seen.method != method or left[0] == 0:
            return None
        left[0] -= 1
        return fault
    return choose


def stall_ms_for(fault):
    return 200 if fault in STALLS else 5000  # long enough for a busy machine


def check(server, folder, done):
    assert done["error"] == ""
    for path, data in server.objects.items():
        assert (folder / path.removeprefix("/bucket/")).read_bytes() == data
    assert names(folder) == sorted(path.removeprefix("/bucket/") for path in server.objects)
    assert done["bytes"] == sum(map(len, server.objects.values()))
    assert done["files"] == len(server.objects)


OBJECTS = {"empty": b"", "one": b"1", "a/b/deep": some_bytes(5000), "a/ünï code+%41 &=?#": b"odd name",
           "exact": some_bytes(MIB), "large": some_bytes(3 * MIB + 17)}


@pytest.mark.parametrize("checksum", ["crc32", "sha256", "md5", "composite", "none"])
def test_objects_become_files(tmp_path, checksum):
    with LyingServer(OBJECTS, checksum=checksum) as server:
        check(server, tmp_path, fetch(server, tmp_path))
        assert len(server.seen) == len(OBJECTS)  # one request each, no HEAD


def cached_bytes(path):
    """Of a file, in the page cache; what is not on disk yet is written first."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
    return int(subprocess.run(["fincore", "-b", "-n", "-r", "-o", "RES", path], capture_output=True, text=True,
                              check=True).stdout)


@pytest.mark.parametrize("options", [{}, {"ranges_from": 4 * MIB, "range_bytes": 2 * MIB, "ranges_rtt_us": 0}])
@pytest.mark.parametrize("checksum", ["crc32", "sha256"])
def test_what_is_written_past_the_page_cache_is_not_in_it(tmp_path, way, options, checksum):
    if subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True).stdout.strip() == "tmpfs":
        pytest.skip("a tmpfs is the page cache")
    data = some_bytes(9 * MIB + 4101)
    with LyingServer({"a": data}, checksum=checksum) as server:
        done = fetch(server, tmp_path, **options)
        cached = cached_bytes(tmp_path / "a")
        check(server, tmp_path, done)
    assert cached <= 2 * 4096 if way == "direct" else cached >= len(data)


def test_a_tmpfs_is_written_either_way(way):
    folder = Path("/dev/shm") / f"fetch-{uuid.uuid4().hex[:8]}"
    if not folder.parent.is_dir():
        pytest.skip("no /dev/shm here")
    folder.mkdir()
    try:
        with LyingServer(OBJECTS) as server:
            check(server, folder, fetch(server, folder))
    finally:
        shutil.rmtree(folder)


def test_observers_see_the_bytes_in_order_once_an_attempt(tmp_path):
    with LyingServer(OBJECTS, first_time("flip", 3)) as server:
        done = fetch(server, tmp_path, observe=True)
        check(server, tmp_path, done)
        assert done["observed"] == {key: hashlib.md5(data).hexdigest() for key, data in OBJECTS.items()}


@pytest.mark.parametrize("size", [5000, 5 * MIB])
@pytest.mark.parametrize("fault", [*PASSING, *STALLS, "endless_head", "drip", "no_length"])
def test_a_passing_fault_is_got_over(tmp_path, fault, size):
    objects = {"whole": some_bytes(size), "other": some_bytes(100)}
    with LyingServer(objects, first_time(fault)) as server:
        check(server, tmp_path, fetch(server, tmp_path, stall_ms=stall_ms_for(fault)))


def test_a_server_that_asks_to_slow_down_is_asked_again_by_every_thread(tmp_path):
    """Also where less may be under way than there are threads."""
    objects = {f"{number}": some_bytes(2 * MIB, number) for number in range(2)}
    for number in range(10):
        with LyingServer(objects, first_time("503", 4)) as server:
            check(server, tmp_path / str(number), fetch(server, tmp_path / str(number), threads=2))


@pytest.mark.parametrize("fault", [*PASSING, *STALLS, "endless_head"])
def test_a_fault_that_stays_is_an_error_with_object_and_byte(tmp_path, fault):
    is_on_ranges = fault in ("bad_range", "ignore_range")
    choose = (lambda seen, number: fault if seen.range else "truncate") if is_on_ranges else (
        lambda seen, number: fault)
    with LyingServer({"x/y": some_bytes(5 * MIB)}, choose, checksum="none") as server:
        done = fetch(server, tmp_path, tries=3, stall_ms=stall_ms_for(fault))
    if fault in ("extra", "interim_close", "ignore_range"):  # harmless, once the bytes are there
        assert done["error"] == ""
        return
    assert done["code"] in ("unavailable", "timeout")
    assert done["error"].startswith("s3://bucket/x/y at byte ") and " of 5242880: " in done["error"], done
    assert "(tried 3 times)" in done["error"]


@pytest.mark.parametrize("checksum", ["crc32", "sha256", "md5"])
def test_a_flipped_bit_is_fetched_again(tmp_path, checksum):
    with LyingServer({"a": some_bytes(3 * MIB), "b": some_bytes(500)}, first_time("flip", 2), checksum) as server:
        check(server, tmp_path, fetch(server, tmp_path))


@pytest.mark.parametrize("checksum, said", [("crc32", "CRC32 is "), ("md5", "MD5 of the ETag is ")])
def test_bits_that_stay_flipped_are_an_error(tmp_path, checksum, said):
    with LyingServer({"a": some_bytes(3 * MIB)}, lambda seen, number: "flip", checksum) as server:
        done = fetch(server, tmp_path)
        assert [seen.range for seen in server.seen] == ["", "", ""]
    assert done["error"].startswith("s3://bucket/a at byte 3145728 of 3145728: ")
    assert said in done["error"] and "expected" in done["error"] and "(tried 3 times)" in done["error"]
    assert names(tmp_path) == []


@pytest.mark.parametrize("fault, code, said", [
    ("404", "not_found", "404 NoSuchKey: said the server"), ("403", "denied", "403 AccessDenied"),
    ("400", "invalid", "400"), ("redirect", "invalid", "sends us to 'http://other.example/'")])
def test_a_refusal_is_not_tried_again(tmp_path, fault, code, said):
    with LyingServer({"a": b"1"}, lambda seen, number: fault) as server:
        done = fetch(server, tmp_path)
        assert len(server.seen) == 1
    assert done["code"] == code and said in done["error"]
    assert done["error"].startswith("s3://bucket/a at byte 0 of 1: ")


def test_a_broken_body_is_gone_on_from_at_the_byte_reached(tmp_path):
    data = some_bytes(8 * MIB)
    with LyingServer({"a": data}, first_time("truncate", 3)) as server:
        check(server, tmp_path, fetch(server, tmp_path))
        assert server.sent() == len(data)
        assert [seen.range for seen in server.seen] == ["", "bytes=4194304-8388607", "bytes=6291456-8388607",
                                                        "bytes=7340032-8388607"]


def test_an_object_replaced_since_the_listing_is_a_conflict(tmp_path):
    with LyingServer({"a": b"new"}) as server:
        done = fetch(server, tmp_path, [{"key": "a", "size": 3, "etag": '"old"'}])
    assert done["code"] == "conflict" and "replaced since it was listed" in done["error"]
    assert names(tmp_path) == []


def test_an_object_replaced_between_two_answers_is_not_mixed(tmp_path):
    old, new = some_bytes(4 * MIB, 1), some_bytes(4 * MIB, 2)

    def replace(seen, number):
        if number == 0:
            return "truncate"
        server.objects["/bucket/a"] = new
        return None

    with LyingServer({"a": old}, replace, checksum="composite") as server:
        done = fetch(server, tmp_path, [{"key": "a", "size": len(old)}])
        check(server, tmp_path, done)


def test_a_size_other_than_listed_is_an_error(tmp_path):
    with LyingServer({"a": b"four"}, checksum="none") as server:
        done = fetch(server, tmp_path, [{"key": "a", "size": 3}], tries=2)
    assert "sends 4 bytes, the object was listed with 3" in done["error"]


@pytest.mark.parametrize("checksum", ["crc32", "sha256", "none"])
def test_large_objects_come_in_ranges_from_afar(tmp_path, checksum):
    data = some_bytes(9 * MIB + 5)
    with LyingServer({"a": data, "b": data[:3 * MIB]}, first_time("truncate", 2), checksum) as server:
        done = fetch(server, tmp_path, ranges_from=4 * MIB, range_bytes=2 * MIB, ranges_rtt_us=0)
        check(server, tmp_path, done)
        assert len([seen for seen in server.seen if seen.range]) >= 5
        assert server.sent("a") <= len(data)


@pytest.mark.parametrize("fault", ["ignore_range", "flip"])
def test_ranges_that_go_wrong_are_followed_by_the_whole(tmp_path, fault):
    with LyingServer({"a": some_bytes(9 * MIB)}, lambda seen, number: fault if seen.range else None) as server:
        done = fetch(server, tmp_path, ranges_from=4 * MIB, range_bytes=2 * MIB, ranges_rtt_us=0)
        check(server, tmp_path, done)


def test_a_server_without_head_is_no_hindrance_to_ranges(tmp_path):
    with LyingServer({"a": some_bytes(9 * MIB)}, lambda seen, number: "405" if seen.method == "HEAD" else None) as server:
        check(server, tmp_path, fetch(server, tmp_path, ranges_from=4 * MIB, range_bytes=2 * MIB, ranges_rtt_us=0))


def kill_in_the_middle(server, folder, **options):
    """SIGKILL once half of the object is on its way; the server stalls there."""
    probe = start(request(server, folder, stall_ms=60_000, **options))
    while not any(path.stat().st_size >= 3 * MIB for path in folder.glob(".part-*")):
        assert probe.poll() is None
    probe.kill()
    probe.wait()
    probe.stdout.close()


def test_a_killed_process_is_gone_on_from(tmp_path):
    data = some_bytes(8 * MIB)
    with LyingServer({"a": data}, first_time("stall_middle")) as server:
        kill_in_the_middle(server, tmp_path)
        before = server.sent()
        done = fetch(server, tmp_path, observe=True)
        check(server, tmp_path, done)
        assert done["observed"] == {"a": hashlib.md5(data).hexdigest()}
        assert server.sent() - before <= len(data) - 3 * MIB
        assert [seen.method for seen in server.seen] == ["GET", "HEAD", "GET"]


def test_a_part_file_with_wrong_bytes_is_given_up(tmp_path):
    with LyingServer({"a": some_bytes(8 * MIB)}, first_time("stall_middle")) as server:
        kill_in_the_middle(server, tmp_path)
        part, = tmp_path.glob(".part-*")
        with open(part, "r+b") as file:
            file.seek(1000)
            file.write(b"damage")
        check(server, tmp_path, fetch(server, tmp_path))


@pytest.mark.parametrize("has_etag", [True, False])
def test_parts_of_other_versions_are_removed(tmp_path, has_etag):
    with LyingServer({"a": some_bytes(8 * MIB)}, first_time("stall_middle")) as server:
        kill_in_the_middle(server, tmp_path)
        server.objects["/bucket/a"] = some_bytes(7 * MIB, 2)
        row = {"key": "a", "size": 7 * MIB} | ({"etag": server.etag("a")} if has_etag else {})
        check(server, tmp_path, fetch(server, tmp_path, [row]))
        assert server.seen[-1].range == ""


def test_two_processes_do_not_fill_the_same_part(tmp_path):
    with LyingServer({"a": some_bytes(8 * MIB)}, first_time("stall_middle")) as server:
        kill_in_the_middle(server, tmp_path)
        part, = tmp_path.glob(".part-*")
        with open(part, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            probe = start(request(server, tmp_path))
            with pytest.raises(subprocess.TimeoutExpired):
                probe.wait(0.3)  # it waits, and touches nothing
            assert len(server.seen) == 1
        output, _ = probe.communicate(timeout=60)
        assert '"error":""' in output
        check(server, tmp_path, fetch(server, tmp_path))


def test_two_processes_at_once_both_succeed(tmp_path):
    with LyingServer({f"{i}": some_bytes(300_000, i) for i in range(40)}) as server:
        probes = [start(request(server, tmp_path)) for _ in range(3)]
        assert all('"error":""' in probe.communicate(timeout=60)[0] for probe in probes)
        assert names(tmp_path) == sorted(f"{i}" for i in range(40))
        for path in tmp_path.iterdir():
            assert path.read_bytes() == server.objects[f"/bucket/{path.name}"]


def test_a_stop_ends_everything_at_once(tmp_path):
    objects = {f"{i}": some_bytes(2 * MIB, i) for i in range(20)}
    with LyingServer(objects, lambda seen, number: "stall" if number % 2 else None) as server:
        done = fetch(server, tmp_path, stall_ms=600_000, stop_after_bytes=1000)
        assert done["code"] == "cancelled"


def test_nobody_listens(tmp_path):
    with LyingServer({"a": b"1"}) as server:
        document = request(server, tmp_path, tries=3)
    probe = start(document)
    output, _ = probe.communicate(timeout=60)
    assert "s3://bucket/a at byte 0 of 1: connecting" in output and "Connection refused (tried 3 times)" in output


def test_a_full_disk_is_told_before_the_first_byte(tmp_path):
    with LyingServer({"a": b"1"}) as server:
        done = fetch(server, tmp_path, [{"key": "a", "size": 1 << 49}])
        assert server.seen == []
    assert done["code"] == "exhausted"
    assert done["error"].startswith("No space left on device: the download needs 512.0 TiB, "), done["error"]


def test_a_disk_that_fills_up_meanwhile_is_an_error_with_object(tmp_path):
    def limit():
        import resource
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, 2 * MIB))

    with LyingServer({"a": some_bytes(5 * MIB)}) as server:
        probe = start(request(server, tmp_path), preexec_fn=limit)
        output, _ = probe.communicate(timeout=60)
    assert "s3://bucket/a at byte " in output and "File too large" in output


def test_one_percent_of_bad_answers_over_hundreds_of_objects(tmp_path):
    chance = random.Random(20261125)
    sizes = [chance.choice([0, 10, 1000, 70_000, 1_500_000]) for _ in range(400)]
    objects = {f"{i // 50}/{i}": some_bytes(size, i) for i, size in enumerate(sizes)}
    faults = [*PASSING, *STALLS, "flip", "endless_head", "drip", "no_length"]
    plan = [chance.choice(faults) if chance.random() < 0.01 else None for _ in range(5000)]
    plan[7::60] = [faults[i % len(faults)] for i in range(len(plan[7::60]))]  # and each of them for certain
    with LyingServer(objects, lambda seen, number: plan[number]) as server:
        check(server, tmp_path, fetch(server, tmp_path, stall_ms=500))
        assert sum(bool(seen.fault) for seen in server.seen) > 6


def test_many_small_objects_are_under_way_at_once(tmp_path):
    with LyingServer({f"{i}": some_bytes(100, i) for i in range(64)}, together=16) as server:
        check(server, tmp_path, fetch(server, tmp_path, stall_ms=30_000))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=test",
                    "-addext", "subjectAltName=IP:127.0.0.1"], cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


def test_tls(tmp_path, certificate):
    objects = OBJECTS | {"huge": some_bytes(20 * MIB)}
    with LyingServer(objects, first_time("reset_middle", 2), certificate=certificate) as server:
        check(server, tmp_path, fetch(server, tmp_path, environment={"SSL_CERT_FILE": str(certificate[0])}))


def test_a_certificate_of_nobody_is_refused(tmp_path, certificate):
    with LyingServer({"a": b"1"}, certificate=certificate) as server:
        done = fetch(server, tmp_path)
        assert server.seen == []
    assert done["code"] == "denied" and "certificate" in done["error"]


def test_the_embedded_store(tmp_path, service, s3):
    bucket = f"data-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    for key, data in OBJECTS.items():
        s3.put_object(Bucket=bucket, Key=f"p/{key}", Body=data)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="p/parts")["UploadId"]
    parts = [s3.upload_part(Bucket=bucket, Key="p/parts", UploadId=upload, PartNumber=i + 1, Body=some_bytes(size, i))
             for i, size in enumerate([5 * MIB, 6 * MIB, 100])]
    s3.complete_multipart_upload(Bucket=bucket, Key="p/parts", UploadId=upload, MultipartUpload={
        "Parts": [{"PartNumber": i + 1, "ETag": part["ETag"]} for i, part in enumerate(parts)]})
    expected = {key: data for key, data in OBJECTS.items()}
    expected["parts"] = b"".join(some_bytes(size, i) for i, size in enumerate([5 * MIB, 6 * MIB, 100]))

    class Store:
        endpoint = service.ready["endpoint"]
        objects = {}

    keys = {"access_key": service.ready["access_key"], "secret_key": service.ready["secret_key"], "bucket": bucket,
            "region": service.ready["region"], "prefix": "p"}
    for number, options in enumerate([{}, {"ranges_from": MIB, "range_bytes": MIB + 1, "ranges_rtt_us": 0}]):
        folder = tmp_path / str(number)
        done = fetch(Store, folder, **keys, **options)
        assert done["error"] == ""
        assert {name: (folder / name).read_bytes() for name in names(folder)} == expected
