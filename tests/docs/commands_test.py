"""What the READMEs tell a reader to type exists: programs with their flags and environment variables,
scripts, paths, Bazel labels and configurations."""
import functools
import pathlib
import re
import shlex
import subprocess
import unittest

RUNFILES = pathlib.Path(__file__).absolute().parents[2]
# A test's inputs are links into the checkout.
ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = ("README.md", "deploy/README.md")
PROGRAMS = {
    "navit-coordinator": "server",
    "navit-embed": "embed",
    "navit-packer": "packer",
    "navit-trainer": "worker",
    "navitctl": "cli",
}
SCRIPTS = ("install", "quickstart", "deploy/images/from_source")
# Flags of others that stand alone; and what looks like a path: outputs, and names of Kubernetes.
FOREIGN_FLAGS = {"--build-arg", "--auto-compaction-retention"}
NO_PATHS = re.compile(r"(build|statefulset|deployment|nvidia\.com)/")


def run(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def program(name):
    return str(RUNFILES / PROGRAMS[name] / name)


def flags_in(text):
    """Ours may be written with either of - and _."""
    return {flag.replace("_", "-") for flag in re.findall(r"--[a-z][\w-]*", text)}


@functools.lru_cache(maxsize=None)
def flags(name):
    """Of a program or, by its path, of a script."""
    if name in PROGRAMS:
        return flags_in(run(program(name), "--help").stdout)
    return flags_in((ROOT / name).read_text())


@functools.lru_cache(maxsize=None)
def all_flags():
    commands = re.findall(r"^  ([a-z]+) .*$", run(program("navitctl"), "--help").stdout, re.MULTILINE)
    own = [flags(name) for name in list(PROGRAMS) + list(SCRIPTS)]
    own += [flags_in(run(program("navitctl"), command, "--help").stdout) for command in commands]
    return FOREIGN_FLAGS.union(*own)


@functools.lru_cache(maxsize=None)
def variables():
    found = set()
    for name in PROGRAMS:
        found.update(re.findall(r"NAVIT_\w+", run(program(name), "--help").stdout))
    return found


def snippets(text):
    """The code of a document: lines of its blocks for a shell, and spans of its prose."""
    parts = re.split(r"^```(.*)$", text, flags=re.MULTILINE)
    for language, block in zip(parts[1::4], parts[2::4]):
        # Others are job files and drawings.
        if language == "" and "─" not in block:
            yield from block.replace("\\\n", " ").splitlines()
    for prose in parts[0::4]:
        yield from (span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", prose))


def check_flags(words, known, whose):
    for word in words:
        name = word.split("=")[0]
        if name == "--config":
            configuration = word.split("=")[1]
            if ":{} ".format(configuration) not in (ROOT / ".bazelrc").read_text():
                yield "no configuration {}".format(configuration)
        elif name.startswith("--") and not flags_in(name) <= known:
            yield "no flag {} of {}".format(name, whose)


def check_navitctl(words):
    # It parses all flags first.
    done = run(program("navitctl"), *words, "--help")
    if done.returncode != 0:
        yield "navitctl {}: {}".format(" ".join(words), done.stdout.strip())


def check_place(word, roots):
    """A path below one of the folders `roots`, or a label of Bazel."""
    label = re.fullmatch(r"//([\w/-]*?)(?:/?\.\.\.|:([\w-]+))?", word)
    if label:
        package, target = label.groups()
        build = ROOT / package / "BUILD.bazel"
        if not build.is_file() or (target and 'name = "{}"'.format(target) not in build.read_text()):
            yield "no label {}".format(word)
    elif re.fullmatch(r"(\./)?[a-z_.][\w.*-]*(/[\w.*-]+)*/?", word) and "/" in word:
        if not NO_PATHS.match(word) and not any(any(root.glob(word.rstrip("/"))) for root in roots):
            yield "no path {}".format(word)


def mistakes(text, roots):
    """What the document names that does not exist, in words."""
    found = []
    for snippet in snippets(text):
        words = shlex.split(snippet, comments=True)
        if not words:
            continue
        first = words[0][2:] if words[0].startswith("./") else words[0]
        if first == "navitctl":
            found += check_navitctl([word for word in words[1:] if word != "&"])
        elif first in PROGRAMS or first in SCRIPTS:
            found += check_flags(words[1:], flags(first), first)
        elif first.startswith("--"):
            found += check_flags(words, all_flags(), "any program")
        for variable in re.findall(r"NAVIT_\w+", snippet):
            if variable not in variables():
                found.append("no program reads {}".format(variable))
        for word in words:
            found += check_place(word, roots)
    return found


class CommandsTest(unittest.TestCase):
    def read(self, document):
        """Its text, and the folders that its paths start from."""
        path = ROOT / document
        return path.read_text(), [ROOT, path.parent, path.parent / "kubernetes"]

    def test_what_the_documents_name_exists(self):
        for document in DOCUMENTS:
            self.assertEqual(mistakes(*self.read(document)), [], document)

    def test_what_does_not_exist_is_found(self):
        for document, old, new, said in (
            ("README.md", "--threads=4", "--cores=4", "no flag --cores of navit-packer"),
            ("README.md", "`--tls_cert`", "`--tls_leaf`", "no flag --tls_leaf of any program"),
            ("README.md", "job.yaml --follow", "job.yaml --behind", "navitctl submit job.yaml --behind: "),
            ("README.md", "navitctl why", "navitctl whence", "no command `whence`"),
            ("README.md", "--config=asan", "--config=msan", "no configuration msan"),
            ("README.md", "`NAVIT_LISTEN`", "`NAVIT_HEAR`", "no program reads NAVIT_HEAR"),
            ("README.md", "packer/plan.cc", "packer/plans.cc", "no path packer/plans.cc"),
            ("README.md", "`./quickstart", "`./slowstart", "no path ./slowstart"),
            ("README.md", "//packer/...", "//unpacker/...", "no label //unpacker/..."),
            ("deploy/README.md", "./install --prefix", "./install --prefab", "no flag --prefab of install"),
            ("deploy/README.md", "overlays/gpu", "overlays/tpu", "no path deploy/kubernetes/overlays/tpu"),
            ("deploy/README.md", "`components/keda`", "`components/kedo`", "no path components/kedo"),
        ):
            text, roots = self.read(document)
            self.assertIn(old, text)
            self.assertIn(said, "\n".join(mistakes(text.replace(old, new), roots)))


if __name__ == "__main__":
    unittest.main()
