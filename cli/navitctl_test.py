"""navitctl without a coordinator: job files, output channels and exit codes."""
import json
import os
import pathlib
import subprocess
import unittest

ROOT = pathlib.Path(__file__).absolute().parents[1]
JOB = """\
name: small
data: {train: [{shards: /data/}]}
checkpoints: {directory: /checkpoints}
train_for: {steps: 3}
"""


def navitctl(*arguments, stdin="", **environment):
    return subprocess.run(
        [str(ROOT / "cli" / "navitctl")] + list(arguments),
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=50,
        check=False,
        env=dict(os.environ, **environment),
    )


class NavitctlTest(unittest.TestCase):
    def refused(self, job, fault):
        done = navitctl("submit", "-", "--server=127.0.0.1:1", stdin=job)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(fault, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_faults_of_a_job_file_name_line_column_and_field(self):
        self.refused(JOB + "packing: {sequence_length: 0}\n",
                     "-:5:28: packing.sequence_length: must be in [16, 65536], is 0")
        self.refused(JOB + "packing: {sequence_lenght: 64}\n",
                     "-:5:11: packing.sequence_lenght: is no field; did you mean sequence_length?")
        self.refused(JOB + "optimizer: {lr: .nan}\n", "-:5:17: optimizer.lr: must be a number")
        self.refused(JOB.replace("steps: 3", "steps: 3, epochs: 1"), "train_for: must name exactly")
        self.refused(JOB + "optimizer: {groups: [{match: imgae.*, freeze: true}]}\n",
                     "optimizer.groups[0].match: no tensor of this model has a name like `imgae.*`")

    def test_a_job_file_that_cannot_be_read_is_named_with_the_reason(self):
        for file, reason in (("/nowhere.yaml", "No such file"), ("/", "Is a directory")):
            done = navitctl("validate", file, "--offline")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(file, done.stderr)
            self.assertIn(reason, done.stderr)

    def test_a_fault_of_set_names_the_field(self):
        done = navitctl("validate", "-", "--offline", "--set", "seed=x", stdin=JOB)
        self.assertEqual(done.returncode, 2)
        self.assertIn("seed: must be a whole number", done.stderr)

    def test_validate_says_what_the_job_costs(self):
        def expected(*changes):
            flags = [f for change in changes for f in ("--set", change)]
            done = navitctl("validate", "-", "--offline", *flags, stdin=JOB)
            self.assertEqual(done.returncode, 0, done.stderr)
            return dict(
                line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)

        base = expected()
        self.assertEqual(base["image tokens per step"], "at most 9216 (16 sequences of 576)")
        self.assertEqual(base["examples per step"], "at most 1152")
        # B/16: 12 blocks of 12 D^2 and two poolings and projections, in each of two towers.
        self.assertRegex(base["parameters"], r"^1[89]\d\.\d\d M$")
        flops = float(base["useful FLOPs per step"].split()[0])
        twice = expected("packing.sequences_per_step=32")
        self.assertAlmostEqual(
            float(twice["useful FLOPs per step"].split()[0]) / flops, 2, places=2)
        small = expected("model.image.preset=S")
        self.assertLess(float(small["parameters"].split()[0]),
                        float(base["parameters"].split()[0]) / 3)
        self.assertIn("budget of 512.0 MiB", base["relay"])

    def test_set_and_name_change_the_job(self):
        done = navitctl("submit", "-", "--dry-run", "--name", "other",
                        "--set", "data.train.0.shards=/else/*.tar", stdin=JOB)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("name: other\n", done.stdout)
        self.assertIn("/else/*.tar", done.stdout)

    def test_what_a_dry_run_prints_is_the_same_job(self):
        once = navitctl("submit", "-", "--dry-run", stdin=JOB)
        again = navitctl("submit", "-", "--dry-run", stdin=once.stdout)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(once.stdout, again.stdout)

    def test_init_and_the_examples_are_valid(self):
        done = navitctl("validate", "-", "--offline", stdin=navitctl("init").stdout)
        self.assertEqual(done.returncode, 0, done.stderr)
        files = sorted(path for path in (ROOT / "examples").rglob("*.yaml")
                       if path.name != "probe.yaml")  # needs a checkpoint
        self.assertGreaterEqual(len(files), 2)
        for path in files:
            done = navitctl("validate", "--offline", str(path))
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_schema_is_json(self):
        schema = json.loads(navitctl("schema").stdout)
        packing = schema["properties"]["packing"]["properties"]
        self.assertEqual(packing["sequence_length"]["default"], 576)

    def test_mistakes_on_the_command_line_are_exit_2(self):
        for arguments in (["frobnicate"], ["list", "--frobnicate"], ["get"],
                          ["submit", "/nowhere/job.yaml"], ["wait", "x", "--for=step=x"]):
            done = navitctl(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertNotEqual(done.stderr, "")
            self.assertEqual(done.stdout, "")

    def test_no_coordinator_is_exit_5_by_flag_and_by_environment(self):
        self.assertEqual(navitctl("list", "--server=127.0.0.1:1").returncode, 5)
        self.assertEqual(
            navitctl("wait", "x", "--server=127.0.0.1:1", "--call-timeout=1").returncode, 5
        )
        self.assertEqual(navitctl("list", NAVIT_SERVER="127.0.0.1:1").returncode, 5)


if __name__ == "__main__":
    unittest.main()
