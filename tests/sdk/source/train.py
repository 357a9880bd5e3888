# SPDX-License-Identifier: Apache-2.0
"""What a training script sees, as one line of JSON, and a loss."""
import json
import os
import sys


def files_below(folder):
    return sorted(os.path.relpath(os.path.join(root, name), folder)
                  for root, _, names in os.walk(folder) for name in names)


channels = "/opt/ml/input/data"
print("seen " + json.dumps({
    "arguments": sys.argv[1:],
    "variables": {name: value for name, value in os.environ.items() if name.startswith(("SM_", "TEAM"))},
    "channels": {name: files_below(f"{channels}/{name}") for name in sorted(os.listdir(channels))}
    if os.path.isdir(channels) else {},
    "checkpoints": os.path.isdir("/opt/ml/checkpoints")}))
for value in (0.9, 0.6, 0.3):
    print(f"loss: {value}")
with open("/opt/ml/model/weights.txt", "w") as file:
    file.write("trained")
