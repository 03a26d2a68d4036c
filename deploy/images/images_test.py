"""The images are built by buildah on a Debian that the test makes, from the programs that Bazel
built, and the programs run out of them: versions, and a whole job.

Sizes are printed and bounded."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from tests.cluster import data
from tests.cluster.cluster import Cluster, Process

HERE = pathlib.Path(__file__).absolute().parent
ROOT = HERE.parents[1]
FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])
CONTEXT = FOLDER / "context"
PROGRAMS = {
    "coordinator": "navit-coordinator",
    "packer": "navit-packer",
    "trainer": "navit-trainer",
    "navitctl": "navitctl",
    "embed": "navit-embed",
}
# What an image may add to its Debian.
MOST_ADDED_BYTES = 64 << 20


def run(*argv, **options):
    done = subprocess.run(
        list(argv), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, **options
    )
    if done.returncode != 0:
        raise AssertionError("{}: {}\n{}{}".format(argv, done.returncode, done.stdout, done.stderr))
    return done.stdout


def buildah(*arguments):
    return run(*BUILDAH, *arguments)


# Storage of its own, without overlay mounts: works in any container.
BUILDAH = [
    "env",
    "STORAGE_DRIVER=vfs",
    "buildah",
    "--root={}".format(FOLDER / "storage"),
    "--runroot={}".format(FOLDER / "run"),
]


def make_base():
    """A minimal Debian bookworm from the machine's own sources, as the image navit-base."""
    archive = FOLDER / "base.tar"
    run(
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "bookworm",
        str(archive),
    )
    container = buildah("from", "scratch").strip()
    buildah("add", container, str(archive), "/")
    buildah("commit", "--quiet", "--rm", container, "navit-base")
    archive.unlink()


def build(target):
    buildah(
        "build",
        "--isolation=chroot",
        "--pull-never",
        "--build-arg=BASE=localhost/navit-base",
        "--build-arg=PROGRAMS=prebuilt",
        "--file={}".format(CONTEXT / "deploy/images/Containerfile"),
        "--target=" + target,
        "--tag=navit-" + target,
        str(CONTEXT),
    )


def image_bytes(name):
    """Of all its layers, to what buildah prints ("127 MB")."""
    units = {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9}
    said = buildah("images", "--noheading", "--format={{.Size}}", "localhost/" + name)
    number, unit = said.split()
    return float(number) * units[unit]


class ImageCluster(Cluster):
    """A cluster whose every process runs in a container of its image; the host's network, and the
    cluster's folder and data as volumes."""

    def _start(self, name, which, arguments, environment=None):
        target = which[1].replace("navit-", "")
        container = buildah("from", "--pull-never", "localhost/navit-" + target).strip()
        argv = BUILDAH + ["run", "--isolation=chroot"]
        for folder in (self.folder, self.folder.parent / "data"):
            argv.append("--volume={0}:{0}".format(folder))
        argv += [container, "--", which[1]] + arguments
        self.processes[name] = Process(self.folder, name, argv, environment)
        return self.processes[name]


class ImagesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise AssertionError("images are built by root: run the test as root")
        shutil.copytree(str(HERE), str(CONTEXT / "deploy/images"))
        run(
            "bash",
            str(ROOT / "install"),
            "--prefix=" + str(CONTEXT / "build/prefix"),
            "--programs=" + str(ROOT),
        )
        make_base()
        for target in PROGRAMS:
            build(target)

    @classmethod
    def tearDownClass(cls):
        buildah("rm", "--all")
        buildah("rmi", "--all", "--force")

    def test_sizes(self):
        base = image_bytes("navit-base")
        print("navit-base {:6.1f} MB".format(base / 1e6))
        for target in PROGRAMS:
            size = image_bytes("navit-" + target)
            added = (size - base) / 1e6
            print("navit-{:12} {:6.1f} MB, {:5.1f} above its Debian".format(target, size / 1e6, added))
            self.assertLess(size - base, MOST_ADDED_BYTES, target)

    def test_programs_run_and_nobody_is_root(self):
        for target, program in PROGRAMS.items():
            image = json.loads(buildah("inspect", "--type=image", "localhost/navit-" + target))
            config = image["OCIv1"]["config"]
            self.assertEqual(config["User"], "10001:10001", target)
            self.assertEqual(config["Entrypoint"], [program])
            container = buildah("from", "--pull-never", "localhost/navit-" + target).strip()
            said = buildah("run", "--isolation=chroot", container, "--", program, "--version")
            self.assertTrue(said.startswith(program + " "), said)
            who = buildah("run", "--isolation=chroot", container, "--", "id", "-u").strip()
            self.assertEqual(who, "10001")

    def test_a_job_runs_out_of_the_images(self):
        # The containers' user is nobody here: it gets folders of its own, in a place that it reaches.
        place = pathlib.Path(tempfile.mkdtemp(prefix="navit-images-"))
        self.addCleanup(shutil.rmtree, str(place))
        place.chmod(0o755)
        dataset = data.make_dataset(place / "data")
        for folder in (place / "data", place / "cluster", place / "cluster/ckpt"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o777)
        with ImageCluster(place / "cluster") as cluster:
            cluster.start_coordinator()
            cluster.start_packers(1)
            cluster.start_trainers(2)
            job = cluster.submit(data.tiny_job("image", dataset, place / "cluster/ckpt", steps=6))
            cluster.wait(job, "succeeded")
            self.assertEqual(len(cluster.history(job)), 6)
            for process in cluster.processes.values():
                process.terminate()


if __name__ == "__main__":
    unittest.main()
