"""Reads the records that gtest and Bazel leave of a test program."""
import collections
import xml.etree.ElementTree as ElementTree

# verdict: "passed", "failed" or "skipped"; detail: what failed, or why it was skipped.
Case = collections.namedtuple("Case", "name verdict detail")


def cases(path):
    """The test cases in a JUnit file (test.xml), in its order; those that were not asked for are left
    out."""
    found = []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = "{}.{}".format(case.get("classname", ""), case.get("name", "")).strip(".")
        broken = [part for kind in ("failure", "error") for part in case.iter(kind)]
        skipped = case.find("skipped")
        if broken:
            texts = [(part.get("message") or part.text or "").strip() for part in broken]
            found.append(Case(name, "failed", "\n".join(texts)))
        elif skipped is not None:
            lines = skipped.get("message", "").strip().splitlines()
            # gtest's message begins with the place.
            found.append(Case(name, "skipped", lines[-1] if lines else "no reason given"))
        elif case.get("status", "run") == "run":
            found.append(Case(name, "passed", ""))
    return found
