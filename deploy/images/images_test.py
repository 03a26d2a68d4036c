"""The images are built by buildah on a Debian that the test makes, from the programs that Bazel
built, and the programs run out of them: versions, and a whole job.

Where they were built with --config=cuda, trainer-cuda is made as well. Sizes are printed and bounded."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from deploy.images.builder import PROGRAMS, Builder, run
from tests.cluster import data
from tests.cluster.cluster import Cluster, Process

HERE = pathlib.Path(__file__).absolute().parent
ROOT = HERE.parents[1]
FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])
CONTEXT = FOLDER / "context"
BUILDER = Builder(FOLDER)
PREFIX = CONTEXT / "build/prefix"
CUDA = "trainer-cuda"
# What an image may add to its Debian; that of CUDA has libraries of three quarters of a gigabyte.
MOST_ADDED_BYTES = 64 << 20
MOST_ADDED_BYTES_CUDA = 1 << 30


class ImageCluster(Cluster):
    """A cluster whose every process runs in a container of its image; the host's network, and the
    cluster's folder and data as volumes."""

    def _start(self, name, which, arguments, environment=None):
        container = BUILDER.container(which[1].replace("navit-", ""))
        volumes = (self.folder, self.folder.parent / "data")
        argv = BUILDER.run_argv(container, which[1], *arguments, volumes=volumes)
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
            "--prefix=" + str(PREFIX),
            "--programs=" + str(ROOT),
        )
        BUILDER.make_base()
        cls.targets = list(PROGRAMS)
        if any((PREFIX / "lib/navit").iterdir()):
            cls.targets.append(CUDA)
        for target in cls.targets:
            BUILDER.build(CONTEXT, target, "--build-arg=PROGRAMS=prebuilt")

    @classmethod
    def tearDownClass(cls):
        BUILDER.remove_all()

    def test_sizes(self):
        for target, added in BUILDER.print_sizes(self.targets).items():
            self.assertLess(added, MOST_ADDED_BYTES_CUDA if target == CUDA else MOST_ADDED_BYTES, target)

    def check_program(self, target, program):
        """Returns the container that it ran in."""
        image = json.loads(BUILDER.buildah("inspect", "--type=image", "localhost/navit-" + target))
        config = image["OCIv1"]["config"]
        self.assertEqual(config["User"], "10001:10001", target)
        self.assertEqual(config["Entrypoint"], [program])
        container = BUILDER.container(target)
        said = run(*BUILDER.run_argv(container, program, "--version"))
        self.assertTrue(said.startswith(program + " "), said)
        self.assertEqual(run(*BUILDER.run_argv(container, "id", "-u")).strip(), "10001")
        return container

    def test_programs_run_and_nobody_is_root(self):
        for target, program in PROGRAMS.items():
            self.check_program(target, program)

    def test_the_cuda_trainer_has_its_libraries_and_asks_for_a_driver(self):
        if CUDA not in self.targets:
            self.skipTest("the programs were built without --config=cuda")
        container = self.check_program(CUDA, "navit-trainer")
        linked = run(*BUILDER.run_argv(container, "sh", "-c", "ldd /usr/local/lib/navit/*"))
        self.assertIn("libcublasLt.so.13", linked)
        self.assertNotIn("not found", linked)
        # The driver is the node's, and a container of this test is given none.
        done = subprocess.run(
            BUILDER.run_argv(container, "navit-trainer", "--device=cuda"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn("no NVIDIA driver; CUDA 13.0 needs driver 580 or newer", done.stdout)

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
