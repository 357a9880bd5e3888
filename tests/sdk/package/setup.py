# SPDX-License-Identifier: Apache-2.0
from setuptools import setup

setup(name="trainer", version="1.0", py_modules=["trainer"])
