"""Checks ptxas' reports: no kernel spills, and every report names a kernel of each architecture.

usage: spill_test.py REPORT...
"""
import re
import sys

ARCHITECTURES = {"sm_80", "sm_90a"}


def main():
    failed = 0
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as report:
            text = report.read()
        kernel, seen = None, set()
        for line in text.splitlines():
            found = re.search(r"Compiling entry function '(\w+)' for '(\w+)'", line)
            if found:
                kernel = found.groups()
                seen.add(kernel[1])
            found = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line)
            if found and found.groups() != ("0", "0"):
                print("{}: {} for {}: {}".format(path, kernel[0], kernel[1], line.strip()))
                failed += 1
        if seen != ARCHITECTURES:
            print("{}: kernels for {}, not for {}".format(path, sorted(seen), ARCHITECTURES))
            failed += 1
    if len(sys.argv) < 2:
        print("no report given")
        failed += 1
    sys.exit(1 if failed else 0)


main()
