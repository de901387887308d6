#!/usr/bin/env python3
"""Counts test cases in ctest's JUnit report and prints, as its only line, "N passed, M failed".

A Catch2 program counts with its own test cases, and so does a script whose last line is "N passed, M failed"; any
other test, and one that died before its summary, counts as one. Exits with 1 when something failed or nothing ran.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree

ALL_PASSED = re.compile(r"^All tests passed \(\d[^()]* in (\d+) test cases?\)$", re.MULTILINE)
SUMMARY = re.compile(r"^test cases: *(\d+) \|(.*)$", re.MULTILINE)
OWN_COUNT = re.compile(r"^(\d+) passed, (\d+) failed\s*\Z", re.MULTILINE)
PART = re.compile(r"(\d+) (passed|failed as expected|failed)")


def count(output: str, succeeded: bool) -> tuple:
    """(passed, failed) of one ctest test."""
    clean = ALL_PASSED.findall(output)
    if succeeded and clean:
        return int(clean[-1]), 0
    own = OWN_COUNT.search(output)
    if own:
        passed, failed = int(own.group(1)), int(own.group(2))
        return passed, failed if succeeded or failed else 1
    summary = SUMMARY.findall(output)
    if summary:
        parts = {name: int(number) for number, name in PART.findall(summary[-1][1])}
        passed = parts.get("passed", 0) + parts.get("failed as expected", 0)
        failed = parts.get("failed", 0)
        # One that ended badly after all its cases passed (a sanitizer's report, say) failed all the same.
        return passed, failed if succeeded or failed else 1
    return (1, 0) if succeeded else (0, 1)


def main(report: str) -> int:
    passed = failed = 0
    for case in ElementTree.parse(report).iter("testcase"):
        if case.get("status") in ("disabled", "notrun") and case.find("failure") is None:
            continue
        succeeded = case.get("status") == "run" and case.find("failure") is None
        ran, broke = count(case.findtext("system-out") or "", succeeded)
        passed += ran
        failed += broke
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
