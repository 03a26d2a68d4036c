"""Runs the test programs of a bundle, by themselves and under compute-sanitizer."""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess

import junit

SANITIZERS = ("memcheck", "racecheck", "initcheck", "synccheck")
# How it says that it cannot work on this machine, which is no finding.
REFUSAL = re.compile(r"=+ Error: (.*(?:Device not supported|Unable to|Failed to initialize).*)")


def label(path):
    return "//" + ":".join(path.rsplit("/", 1))


def read_list(root):
    """Paths below `root` of a bundle's tests."""
    return (root / "gpu_tests.txt").read_text().split()


def tail(text, lines=15):
    return "\n".join(text.strip().splitlines()[-lines:])


def run_logged(argv, log_path, seconds):
    """(exit status, output), the output in a file too; None: not done in time, and killed."""
    with open(log_path, "wb") as log:
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=seconds, check=False
            )
            status = done.returncode
        except subprocess.TimeoutExpired:
            status = None
    return status, log_path.read_text(errors="replace")


def run_test(root, path, work, report, seconds):
    """Runs one gtest program; a line for each case. Returns its cases."""
    stem = work / path.replace("/", "_")
    xml = stem.with_suffix(".xml")
    status, output = run_logged(
        [str(root / path), "--gtest_output=xml:{}".format(xml)], stem.with_suffix(".log"), seconds
    )
    found = junit.cases(xml) if xml.exists() else []
    for case in found:
        report.add(case.verdict, "{} {}".format(label(path), case.name), case.detail)
    if status is None:
        report.add("failed", label(path), "not done in {} s\n{}".format(seconds, tail(output)))
    elif not found:
        report.add("failed", label(path), "exit {}\n{}".format(status, tail(output)))
    elif status != 0 and all(case.verdict != "failed" for case in found):
        detail = "exit {} after its tests\n{}".format(status, tail(output))
        report.add("failed", label(path), detail)
    return found


def run_tests(root, work, report, seconds=300):
    """Runs all test programs, several at a time. Returns why there is no GPU: the reason of the cases
    of kernels/cuda, if all were skipped; else ""."""
    paths = read_list(root)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda path: run_test(root, path, work, report, seconds), paths))
    on_device = [case for path, cases in zip(paths, found) for case in cases if is_operation(path)]
    if on_device and all(case.verdict == "skipped" for case in on_device):
        return on_device[0].detail
    return ""


def is_operation(path):
    return path.startswith("kernels/cuda/")


def find_sanitizer():
    """Path of compute-sanitizer, or None."""
    cuda = pathlib.Path("/usr/local/cuda")
    for place in (None, cuda / "bin", cuda / "compute-sanitizer"):
        found = shutil.which("compute-sanitizer", path=None if place is None else str(place))
        if found:
            return found
    return None


def judge_sanitizer(status, output, seconds):
    """(verdict, detail) of one run. Clean: its own summary says so."""
    words = [line for line in output.splitlines() if line.startswith("=====")]
    summaries = [line for line in words if "SUMMARY:" in line]
    if status is None:
        return "failed", "not done in {} s".format(seconds)
    refusal = REFUSAL.search(output)
    if refusal:
        return "skipped", "compute-sanitizer: " + refusal[1]
    if status == 0 and summaries and all("SUMMARY: 0 " in line for line in summaries):
        return "passed", ""
    return "failed", "\n".join(["exit {}".format(status)] + summaries + words[:15])


def run_sanitizers(root, work, report, why_not, seconds=240):
    """The operation tests under each of compute-sanitizer's tools, several at a time; each run is
    skipped for the reason `why_not` where there is one."""
    program = find_sanitizer()
    if not why_not and program is None:
        why_not = "there is no compute-sanitizer here"
    runs = [
        (tool, path) for tool in SANITIZERS for path in read_list(root) if is_operation(path)
    ]

    def run(tool_and_path):
        tool, path = tool_and_path
        verdict, detail = "skipped", why_not
        if not why_not:
            log = work / "{}_{}.log".format(tool, path.replace("/", "_"))
            argv = [program, "--tool", tool, "--error-exitcode", "9", str(root / path)]
            verdict, detail = judge_sanitizer(*run_logged(argv, log, seconds), seconds)
        report.add(verdict, "{} {}".format(tool, label(path)), detail)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(run, runs))
