#!/usr/bin/env python3
"""Counts test cases of a Bazel run from its build event file.

Prints what failed, then `N passed, N failed`. A target that did not build, timed out or left no
record counts as one failure. Exit 0 only when something passed and nothing failed.

usage: count_tests.py EVENTS_JSON BAZEL_EXIT_STATUS
"""
import json
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree


def cases(uri):
    """(passed, names of failed) of one test.xml."""
    path = urllib.parse.unquote(urllib.parse.urlparse(uri).path)
    passed, failed = 0, []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = "{}.{}".format(case.get("classname", ""), case.get("name", "")).strip(".")
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
        elif case.find("skipped") is None and case.get("status", "run") == "run":
            passed += 1
    return passed, failed


def main():
    events_path, bazel_status = sys.argv[1], int(sys.argv[2])
    passed, failed = 0, []
    with open(events_path, encoding="utf-8") as events:
        for line in events:
            event = json.loads(line)
            identity = event.get("id", {})
            if "testResult" in event:
                label = identity["testResult"]["label"]
                result = event["testResult"]
                logs = {f["name"]: f.get("uri", "") for f in result.get("testActionOutput", [])}
                here, broken = cases(logs["test.xml"]) if "test.xml" in logs else (0, [])
                passed += here
                failed += ["{} {}".format(label, name) for name in broken]
                if result["status"] != "PASSED" and not broken:
                    failed.append("{} ({})".format(label, result["status"].lower()))
            elif "targetCompleted" in identity and not event.get("completed", {}).get("success"):
                if "aborted" not in event:
                    failed.append(identity["targetCompleted"]["label"] + " (not built)")
            elif "aborted" in event and "targetCompleted" in identity:
                failed.append(identity["targetCompleted"]["label"] + " (not built)")
    if bazel_status != 0 and not failed:
        failed.append("bazel ended with status {}".format(bazel_status))
    for name in failed:
        print("FAILED " + name)
    print("{} passed, {} failed".format(passed, len(failed)))
    sys.exit(0 if passed and not failed else 1)


main()
