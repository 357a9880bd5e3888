# SPDX-License-Identifier: Apache-2.0
"""read_all.py FOLDER PASSES: reads every file from start to end, 256 KiB at a time, as readers of records do."""
import json
import os
import pathlib
import sys
import time

buffer = bytearray(256 << 10)
files = [path for path in pathlib.Path(sys.argv[1]).iterdir() if path.is_file()]
begin, cpu = time.monotonic(), time.process_time()
for _ in range(int(sys.argv[2])):
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        total = 0
        while count := os.readv(descriptor, [buffer]):
            total += count
        assert total == os.fstat(descriptor).st_size, path
        os.close(descriptor)
print(json.dumps({"seconds": time.monotonic() - begin, "cpu": time.process_time() - cpu}))
