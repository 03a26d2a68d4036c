"""The completion scripts, run by the shells that they are for."""
import os
import pathlib
import re
import subprocess
import unittest

NAVITCTL = pathlib.Path(__file__).absolute().parents[1] / "cli" / "navitctl"
FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])


def run(*argv):
    # The scripts ask navitctl for jobs: one that knows two of them stands first in PATH.
    done = subprocess.run(
        list(argv),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        cwd=str(FOLDER),
        env=dict(os.environ, PATH="{}:/usr/bin:/bin".format(FOLDER / "bin"), HOME=str(FOLDER)),
    )
    if done.returncode != 0 or done.stderr:
        raise AssertionError("{}: {} {}".format(argv[0], done.returncode, done.stderr))
    return done.stdout


def bash(script, *words):
    return run(
        "bash",
        "-c",
        'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _navitctl; '
        'printf "%s\\n" "${COMPREPLY[@]}"',
        str(script),
        *words,
    ).split()


def zsh(script, *words):
    # Outside the line editor compadd does not exist: this one says what it was given.
    offered = run(
        "zsh",
        "-fc",
        "compadd() { shift; print -l -- $@ }; _files() { print -l -- * }; script=$1; shift; "
        'source "$script"; words=("$@"); CURRENT=$#; _navitctl',
        "zsh",
        str(script),
        *words,
    ).split()
    return [word for word in offered if word.startswith(words[-1])]


def fish(script, *words):
    offered = run("fish", "-c", 'source "$argv[1]"; complete -C "$argv[2]"', str(script), " ".join(words))
    return [line.split("\t")[0] for line in offered.splitlines()]


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}


class CompletionTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        (FOLDER / "bin").mkdir()
        stand_in = FOLDER / "bin" / "navitctl"
        stand_in.write_text("#!/bin/sh\nprintf 'NAME STATE\\nalpha running\\nbeta queued\\n'\n")
        stand_in.chmod(0o755)
        (FOLDER / "job.yaml").write_text("")
        cls.scripts = {}
        for shell in SHELLS:
            cls.scripts[shell] = FOLDER / ("completion." + shell)
            cls.scripts[shell].write_text(
                subprocess.check_output([str(NAVITCTL), "completion", shell], text=True)
            )

    def offered(self, *words):
        """What each shell offers; all offer the same."""
        found = {
            shell: sorted(set(complete(self.scripts[shell], "navitctl", *words)))
            for shell, complete in SHELLS.items()
        }
        self.assertEqual(found["bash"], found["zsh"])
        self.assertEqual(found["bash"], found["fish"])
        return found["bash"]

    def test_every_command_is_offered(self):
        usage = subprocess.check_output([str(NAVITCTL), "--help"], text=True)
        commands = re.findall(r"^  ([a-z]+)(?: |$)", usage.split("flags of every")[0], re.M)
        self.assertGreater(len(commands), 15)
        for command in commands:
            self.assertIn(command, self.offered(command[:2]))

    def test_flags_of_the_command_and_of_all(self):
        self.assertIn("--follow", self.offered("submit", "--fo"))
        self.assertEqual(self.offered("list", "--fo"), [])
        self.assertIn("--server", self.offered("list", "--se"))

    def test_a_flag_may_stand_before_the_command(self):
        self.assertEqual(self.offered("--server=h:1", "describe", "a"), ["alpha"])

    def test_jobs_and_files(self):
        self.assertEqual(self.offered("describe", "b"), ["beta"])
        self.assertEqual(self.offered("submit", "job"), ["job.yaml"])

    def test_another_shell_is_a_usage_error(self):
        done = subprocess.run(
            [str(NAVITCTL), "completion", "tcsh"], stderr=subprocess.PIPE, text=True, check=False
        )
        self.assertEqual(done.returncode, 2)
        self.assertIn("bash, zsh or fish", done.stderr)


if __name__ == "__main__":
    unittest.main()
