#!/usr/bin/env python3
"""Counts test cases of a Bazel run from its build event file.

Prints what was skipped, with the reason, and what failed, then `N passed, N failed`. A target that did not build, timed out or left no
record counts as one failure. Exit 0 only when something passed and nothing failed.

usage: count_tests.py EVENTS_JSON BAZEL_EXIT_STATUS
"""
import json
import sys
import urllib.parse

import junit


def cases(uri):
    """(passed, names of failed, skipped with reasons) of one test.xml."""
    found = junit.cases(urllib.parse.unquote(urllib.parse.urlparse(uri).path))
    return (
        sum(case.verdict == "passed" for case in found),
        [case.name for case in found if case.verdict == "failed"],
        ["{} ({})".format(case.name, case.detail) for case in found if case.verdict == "skipped"],
    )


def main():
    events_path, bazel_status = sys.argv[1], int(sys.argv[2])
    passed, failed, skipped = 0, [], []
    with open(events_path, encoding="utf-8") as events:
        for line in events:
            event = json.loads(line)
            identity = event.get("id", {})
            if "testResult" in event:
                label = identity["testResult"]["label"]
                result = event["testResult"]
                logs = {f["name"]: f.get("uri", "") for f in result.get("testActionOutput", [])}
                here, broken, passed_over = (
                    cases(logs["test.xml"]) if "test.xml" in logs else (0, [], []))
                passed += here
                failed += ["{} {}".format(label, name) for name in broken]
                skipped += ["{} {}".format(label, name) for name in passed_over]
                if result["status"] != "PASSED" and not broken:
                    failed.append("{} ({})".format(label, result["status"].lower()))
            elif "targetCompleted" in identity and "aborted" in event:
                label = identity["targetCompleted"]["label"]
                if event["aborted"].get("reason") == "SKIPPED":
                    skipped.append(label + " (not for this configuration)")
                else:
                    failed.append(label + " (not built)")
            elif "targetCompleted" in identity and not event.get("completed", {}).get("success"):
                failed.append(identity["targetCompleted"]["label"] + " (not built)")
    if bazel_status != 0 and not failed:
        failed.append("bazel ended with status {}".format(bazel_status))
    for name in skipped:
        print("SKIPPED " + name)
    for name in failed:
        print("FAILED " + name)
    print("{} passed, {} failed".format(passed, len(failed)))
    sys.exit(0 if passed and not failed else 1)


main()
