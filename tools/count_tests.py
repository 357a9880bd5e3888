# SPDX-License-Identifier: Apache-2.0
"""Adds up JUnit reports: count_tests.py STATUS REPORT… prints the totals and ends with STATUS, or with 1
where a test failed."""
import sys
import xml.etree.ElementTree

status, reports = int(sys.argv[1]), sys.argv[2:]
passed = failed = skipped = 0
for report in reports:
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(status or int(failed > 0))
