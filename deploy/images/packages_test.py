"""The package lists of the images are what the programs link: no library is missing, none too many."""
import pathlib
import re
import subprocess
import unittest

HERE = pathlib.Path(__file__).absolute().parent
ROOT = HERE.parents[1]
PROGRAMS = {
    "coordinator": "server/navit-coordinator",
    "packer": "packer/navit-packer",
    "trainer": "worker/navit-trainer",
    "navitctl": "cli/navitctl",
    "embed": "embed/navit-embed",
}
# It talks to nobody: some of common.txt is there for the others.
ALONE = {"embed"}
# Every Debian has these.
BASE = {"libc6"}
# Files that are read, not linked.
READ = {"ca-certificates"}


def listed(name):
    lines = (HERE / "packages" / (name + ".txt")).read_text().splitlines()
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


def packages_of(libraries):
    """The Debian packages that hold the libraries. /lib and /usr/lib are one folder, and dpkg knows
    a file under one of its names."""
    names = {}
    for library in libraries:
        real = str(pathlib.Path(library).resolve())
        for path in (library, real):
            names[path] = library
            names[re.sub("^/usr", "", path)] = library
    # Exit 1: some name is unknown to dpkg.
    done = subprocess.run(
        ["dpkg", "-S"] + sorted(names),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    answers = re.findall(r"^(\S+?)(?::\w+)?: (\S+)$", done.stdout, re.M)
    found = {names[path]: package for package, path in answers}
    missing = set(libraries) - set(found)
    if missing:
        raise AssertionError("in no package: {}".format(sorted(missing)))
    return set(found.values())


def linked(program):
    """Packages of the libraries that a program itself names; theirs are apt's business."""
    path = str((ROOT / program).resolve())
    dynamic = subprocess.check_output(["readelf", "-d", path], text=True)
    needed = re.findall(r"\(NEEDED\)\s+Shared library: \[(.+)\]", dynamic)
    where = dict(
        re.findall(r"^\s+(\S+) => (/\S+)", subprocess.check_output(["ldd", path], text=True), re.M)
    )
    needed = [library for library in needed if not library.startswith("ld-linux")]
    return packages_of([where[library] for library in needed]) - BASE


class PackagesTest(unittest.TestCase):
    def test_each_list_is_what_its_program_links(self):
        common = listed("common")
        for name, program in PROGRAMS.items():
            with self.subTest(name):
                packages = linked(program)
                self.assertGreater(len(packages), 5)
                own = listed(name) - READ
                self.assertEqual(own, packages - common)
                if name not in ALONE:
                    self.assertLessEqual(common, packages)

    def test_every_program_has_an_image_that_installs_its_list(self):
        containerfile = (HERE / "Containerfile").read_text()
        for name, program in PROGRAMS.items():
            stages = re.findall(r"install_packages " + name + r"\b", containerfile)
            self.assertEqual(len(stages), 1, name)
            self.assertIn("/prefix/bin/" + program.split("/")[1], containerfile)


if __name__ == "__main__":
    unittest.main()
