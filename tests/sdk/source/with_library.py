# SPDX-License-Identifier: Apache-2.0
"""Needs a folder that was given as a dependency, and a package of requirements.txt."""
import six
from lib import words

print(words.GREETING, six.__name__)
exec(open("train.py").read())
