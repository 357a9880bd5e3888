# SPDX-License-Identifier: Apache-2.0
import os
import sys

print("worker", os.environ["RANK"], "of", os.environ["WORLD_SIZE"], sys.argv[1:])
