"""tests/gpu/bench over programs that play ours."""
import argparse
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import types
import unittest

HERE = pathlib.Path("tests/gpu").absolute()
sys.path.insert(0, str(HERE))

import tables
import turns

# The peers want PyTorch.
for peers in ("kernel_peers", "train_peers"):
    sys.modules[peers] = types.ModuleType(peers)
import bench_rows

# Plays gpu_bench: its one product takes 2 s, or 1 s with a file of choices.
KERNELS = """
while read -r command _; do
  case $command in
    time) echo '{"stages": {"copy": {"seconds": 1, "bytes": 1e12, "flops": 0},' \
      '"product": {"seconds": '$((2 - $#))', "bytes": 0, "flops": 8e12},' \
      '"matmul": {"seconds": 1, "bytes": 0, "flops": 8e12}}}' ;;
    *) echo '{"open": "it"}' ;;
  esac
done
"""
# Plays linear_tune: leaves its arguments in the file of choices.
TUNING = """
echo "$@" > "${1#--output=}"
echo '{"shape": "forward rows=1", "candidates": 9, "first_seconds": 2e-6, "chosen_seconds": 1.6e-6, "flops": 4e8}'
echo '{"shape": "forward rows=2", "candidates": 0, "first_seconds": 2e-6, "chosen_seconds": null, "flops": 4e8}'
"""


class BenchTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.root = self.folder / "root"

    def play(self, text, name="gpu_bench"):
        """A shell script in the place of a program of kernels/bench."""
        program = self.root / "kernels/bench" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n" + text)
        program.chmod(0o755)
        return argparse.Namespace(
            root=self.root,
            environment=dict(os.environ),
            choices=self.folder / "choices",
            rounds=3,
            tokens=16384,
        )

    def rows(self, row, options):
        """The table that a row makes, as text."""
        report = tables.Report(None)
        row(options, report)
        return [line for line in report.lines if line.startswith("|")]

    def test_without_a_gpu_it_says_why_nothing_was_measured(self):
        self.play("echo there is no GPU >&2; exit 1\n")
        with tarfile.open(self.folder / "bundle.tar.gz", "w:gz") as archive:
            archive.add(self.root, ".")
        done = subprocess.run(
            [sys.executable, str(HERE / "bench"), str(self.folder)],
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no GPU", done.stderr)
        self.assertIn("no measurement: kernels/bench/gpu_bench ended with code 1", done.stderr)

    def test_a_program_answers_line_by_line_and_ends_with_its_input(self):
        loop = 'while read -r line; do printf \'{"said": "%s"}\\n\' "$line"; done\n'
        options = self.play(loop)
        with turns.Program(options, "kernels/bench/gpu_bench") as program:
            self.assertEqual(program.ask("one 1"), {"said": "one 1"})
            self.assertEqual(program.ask("two"), {"said": "two"})
        self.assertEqual(program.process.returncode, 0)

    def test_a_failed_row_ends_its_program_at_once(self):
        options = self.play("exec sleep 1000\n")
        with self.assertRaises(ZeroDivisionError):
            with turns.Program(options, "kernels/bench/gpu_bench") as program:
                raise ZeroDivisionError
        self.assertEqual(program.process.returncode, -9)

    def test_ratios_are_of_one_round_and_a_peer_that_fails_is_left_out(self):
        ours = iter([{"seconds": 1}, {"seconds": 2}, {"seconds": 4}])
        good, bad = iter([3, 4, 20]), iter([1])
        peers = {"good": lambda: next(good), "bad": lambda: next(bad)}
        answers, results = turns.in_turns(3, lambda: next(ours), peers)
        self.assertEqual(turns.median_of(answers, "seconds"), 2)
        self.assertEqual(results, {"good": (4, 3)})  # of 3, 2 and 5

    def test_the_verdict_is_about_the_fastest_peer(self):
        results = {"slow": (2, 4.0), "fast": (1, 1.25)}
        self.assertEqual(tables.verdict(results, 1.2, 1.5), "**1.25** (fast); wanted 1.2, aim 1.5")
        self.assertEqual(tables.verdict({}, 1.2, 1.5), "no peer ran")
        self.assertEqual(tables.peer_cells(results, ["fast", "other"]), ["1000.000 (1.25)", "–"])


    def test_what_was_tuned_has_its_gain_and_what_was_not_has_none(self):
        options = self.play(TUNING, "linear_tune")
        self.assertEqual(
            self.rows(bench_rows.row_tune, options)[2:],
            [
                "| forward rows=1 | 9 | 2.0 | 1.6 | 1.25 | 250 |",
                "| forward rows=2 | 0 | 2.0 | – | – | 200 |",
            ],
        )
        told = f"--output={options.choices} --tokens=16384,4096\n"
        self.assertEqual(options.choices.read_text(), told)

    def test_operations_are_measured_with_choices_where_there_are_any(self):
        options = self.play(KERNELS)
        self.assertEqual(
            self.rows(bench_rows.row_ops, options)[2:4],
            ["| copy | 1000000 | 1 TB/s | 100% |", "| product | 2000000 | 4 TFLOP/s | 50% |"],
        )
        options.choices.write_text("choices")
        self.assertEqual(
            self.rows(bench_rows.row_ops, options)[2:4],
            [
                "| copy | 1000000 | 1 TB/s | 100% | – | – |",
                "| product | 2000000 | 4 TFLOP/s | 50% | 1000000 | 2.00 |",
            ],
        )


if __name__ == "__main__":
    unittest.main()
