"""./install --prefix: programs, man pages that hold what --help says, completion."""
import gzip
import os
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).absolute().parents[2]
PREFIX = pathlib.Path(os.environ["TEST_TMPDIR"]) / "prefix"
PROGRAMS = ["navit-coordinator", "navit-embed", "navit-packer", "navit-trainer", "navitctl"]


def install(*arguments):
    return subprocess.run(
        ["bash", str(ROOT / "install")] + list(arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Twice: over what is there already.
        for _ in range(2):
            done = install("--prefix", str(PREFIX), "--programs=" + str(ROOT))
            if done.returncode != 0 or done.stderr:
                raise AssertionError(done.stderr)

    def test_programs_run_and_no_other_file_is_beside_them(self):
        self.assertEqual(sorted(path.name for path in (PREFIX / "bin").iterdir()), PROGRAMS)
        for program in PROGRAMS:
            said = subprocess.check_output([str(PREFIX / "bin" / program), "--version"], text=True)
            self.assertIn(program, said)

    def test_man_pages_hold_every_entry_of_help(self):
        for program in PROGRAMS:
            page = gzip.open(str(PREFIX / "share/man/man1" / (program + ".1.gz"))).read().decode()
            self.assertIn(".SH NAME\n{} \\- ".format(program.replace("-", "\\-")), page)
            self.assertIn(".SH SYNOPSIS\n", page)
            told = subprocess.check_output([str(PREFIX / "bin" / program), "--help"], text=True)
            entries = re.findall(r"^  (\S.*)$", told, re.M)
            self.assertGreater(len(entries), 5)
            for entry in entries:
                self.assertIn(".TP\n{}\n".format(entry.strip().replace("-", "\\-")), page)

    def test_completion_is_where_shells_look(self):
        share = PREFIX / "share"
        for path in (
            "bash-completion/completions/navitctl",
            "zsh/site-functions/_navitctl",
            "fish/vendor_completions.d/navitctl.fish",
        ):
            self.assertIn("navitctl", (share / path).read_text())

    def test_mistakes_are_exit_2_and_say_what_is_missing(self):
        for arguments, said in (
            ([], "--prefix DIR is required"),
            (["--prefix"], "needs a value"),
            (["somewhere"], "unexpected argument: somewhere"),
            (["--prefix=/x", "--programs=/none"], "/none/server/navit-coordinator: no such program"),
        ):
            done = install(*arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
