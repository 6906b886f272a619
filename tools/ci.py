#!/usr/bin/env python3
"""What a change must pass: `make test`, then `make check`.

Runs on a machine with nothing but the prerequisites.  The last line is the sum of
both, `N passed, N failed`; a part that ends without a summary counts as failed.
"""
import os
import re
import subprocess
import sys

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))


def run(target):
    """(passed, failed) of a make target, whose output goes through."""
    passed = failed = None
    process = subprocess.Popen(["make", target], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace")
    for line in process.stdout:
        print(line, end="", flush=True)
        # The last summary is the target's own: ctest's of `make test`, the total of `make check`.
        if found := re.match(r"\d+% tests passed, (\d+) tests? failed out of (\d+)", line):
            failed, total = map(int, found.groups())
            passed = total - failed
        elif found := re.match(r"(\d+) passed, (\d+) failed$", line):
            passed, failed = map(int, found.groups())
    code = process.wait()
    if passed is None:
        return 0, 1
    return passed, failed + (1 if code and not failed else 0)


results = [run("test"), run("check")]
passed, failed = (sum(r[i] for r in results) for i in (0, 1))
print(f"{passed} passed, {failed} failed", flush=True)
sys.exit(1 if failed or not passed else 0)
