"""tests/gpu/run over a bundle of shell scripts that play the tests and compute-sanitizer."""
import os
import pathlib
import shutil
import subprocess
import tarfile
import unittest

ROOT = pathlib.Path(__file__).absolute().parents[2]
PASSED = '<testcase name="Adds" classname="Rows" status="run"/>'
SKIPPED = (
    '<testcase name="Adds" classname="Rows" status="run">'
    '<skipped message="test.cc:1&#10;no GPU: none"/></testcase>'
)
FAILED = (
    '<testcase name="Adds" classname="Rows" status="run">'
    '<failure message="3 is not 4"/></testcase>'
)


class RunTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(os.environ["TEST_TMPDIR"]) / self.id()
        self.bundle = self.folder / "bundle"
        for script in ("tests/cluster/cluster.py", "tests/cluster/data.py", "tools/junit.py"):
            to = self.bundle / script
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / script, to)
        self.bin = self.folder / "bin"
        self.bin.mkdir()

    def script(self, path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/bash\n" + text)
        path.chmod(0o755)

    def play_test(self, path, cases, status=0):
        """A program that leaves a gtest record of these cases (None: no record)."""
        text = "echo output\nexit {}\n".format(status)
        if cases is not None:
            text = "echo '<a>{}</a>' > \"${{1#--gtest_output=xml:}}\"\n".format(cases) + text
        self.script(self.bundle / path, text)
        with open(self.bundle / "gpu_tests.txt", "a", encoding="utf-8") as listed:
            listed.write(path + "\n")

    def sanitizer(self, text):
        self.script(self.bin / "compute-sanitizer", text)

    def run_bundle(self, status):
        """Lines of the output."""
        with tarfile.open(self.folder / "bundle.tar.gz", "w:gz") as archive:
            archive.add(self.bundle, ".")
        environment = dict(
            os.environ, PATH="{}:/usr/bin:/bin".format(self.bin), TMPDIR=str(self.folder)
        )
        done = subprocess.run(
            [str(ROOT / "tests/gpu/run"), str(self.folder)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, status, done.stdout)
        return done.stdout.splitlines()

    def test_without_a_gpu_everything_is_skipped_by_name_with_the_reason(self):
        self.play_test("kernels/cuda/rows_test_gpu", SKIPPED)
        self.sanitizer("exit 1\n")
        lines = self.run_bundle(0)
        self.assertIn("skipped //kernels/cuda:rows_test_gpu Rows.Adds (no GPU: none)", lines)
        self.assertIn("skipped racecheck //kernels/cuda:rows_test_gpu (no GPU: none)", lines)
        self.assertIn("skipped real job on cuda (no GPU: none)", lines)
        self.assertEqual(lines[-1], "0 passed, 0 failed, 6 skipped")

    def test_a_clean_run_passes_and_a_job_without_programs_fails(self):
        self.play_test("kernels/cuda/rows_test_gpu", PASSED)
        self.play_test("worker/nccl/nccl_gpu_test", SKIPPED)
        self.sanitizer("echo '========= ERROR SUMMARY: 0 errors'\n")
        lines = self.run_bundle(1)
        self.assertIn("passed //kernels/cuda:rows_test_gpu Rows.Adds", lines)
        self.assertIn("passed memcheck //kernels/cuda:rows_test_gpu", lines)
        self.assertIn("FAILED real job on cuda", lines)
        self.assertEqual(lines[-1], "5 passed, 1 failed, 1 skipped")

    def test_failures_crashes_and_findings_are_told(self):
        self.play_test("kernels/cuda/rows_test_gpu", FAILED, 1)
        self.play_test("kernels/cuda/crash_test_gpu", None, 134)
        self.play_test("kernels/cuda/late_test_gpu", PASSED, 139)
        self.sanitizer("echo '===== Invalid read'; echo '===== ERROR SUMMARY: 2 errors'; exit 9\n")
        text = "\n".join(self.run_bundle(1))
        self.assertIn("FAILED //kernels/cuda:rows_test_gpu Rows.Adds\n    3 is not 4", text)
        self.assertIn("FAILED //kernels/cuda:crash_test_gpu\n    exit 134\n    output", text)
        self.assertIn("FAILED //kernels/cuda:late_test_gpu\n    exit 139 after its tests", text)
        self.assertIn(
            "FAILED memcheck //kernels/cuda:rows_test_gpu\n    exit 9\n    ===== ERROR SUMMARY", text
        )
        self.assertTrue(text.endswith("\n1 passed, 16 failed, 0 skipped"), text)

    def test_a_sanitizer_that_finds_nothing_because_it_did_not_run_has_not_passed(self):
        self.play_test("kernels/cuda/rows_test_gpu", PASSED)
        self.sanitizer("echo all good\n")
        self.assertEqual(self.run_bundle(1)[-1], "1 passed, 5 failed, 0 skipped")
        self.sanitizer("echo '========= Error: Device not supported. See the manual'; exit 1\n")
        lines = self.run_bundle(1)
        self.assertIn(
            "skipped memcheck //kernels/cuda:rows_test_gpu (compute-sanitizer: Device not supported. "
            "See the manual)",
            lines,
        )
        self.assertEqual(lines[-1], "1 passed, 1 failed, 4 skipped")


if __name__ == "__main__":
    unittest.main()
