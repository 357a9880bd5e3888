# SPDX-License-Identifier: Apache-2.0
import os
import sys

# In one piece: unbuffered, print() writes each argument by itself, and there are two of us.
sys.stdout.write(f"worker {os.environ['RANK']} of {os.environ['WORLD_SIZE']} {sys.argv[1:]}\n")
