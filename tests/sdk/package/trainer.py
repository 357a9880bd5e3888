# SPDX-License-Identifier: Apache-2.0
"""A training program in the form of a package."""
import sys

if __name__ == "__main__":
    print("the package got", sys.argv[1:])
