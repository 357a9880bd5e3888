# SPDX-License-Identifier: Apache-2.0
"""Stands in for torch, which is large: its version, and a torchrun that starts local processes."""
from setuptools import setup

setup(name="torch", version="2.5.0", py_modules=["torch"],
      entry_points={"console_scripts": ["torchrun = torch:run"]})
