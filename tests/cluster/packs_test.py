"""Packs are a pure function of the job: any number of packers, any order, after any crash."""
import os
import pathlib
import unittest

from tests.cluster import data
from tests.cluster.cluster import Cluster, wait_until

FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])


class PacksTest(unittest.TestCase):
    def digests(self, name, packers, disturb=None, steps=200):
        """The digest of (ordinal, content hash) of every step, with so many packers."""
        folder = FOLDER / name
        with Cluster(folder) as cluster:
            cluster.start_coordinator()
            cluster.start_packers(packers)
            cluster.start_trainer("trainer-0")
            workers = {"trainers": {"min": 1, "max": 1}, "packers": {"min": packers}}
            job = cluster.submit(
                data.tiny_job(name, self.dataset, folder / "ckpt", steps=steps, workers=workers)
            )
            if disturb:
                disturb(cluster, job)
                step = int(cluster.json("get", job)["committed_step"])
                self.assertLess(step, steps, "the job was over before the disturbance")
            cluster.wait(job, "succeeded")
            history = cluster.history(job)
            self.assertEqual([int(s["step"]) for s in history], list(range(1, steps + 1)))
            return [s["packs_digest"] for s in history]

    @classmethod
    def setUpClass(cls):
        cls.dataset = data.make_dataset(FOLDER / "data")

    def test_packs_do_not_depend_on_the_packers(self):
        one = self.digests("one", 1)
        self.assertEqual(len(set(one)), len(one))
        self.assertEqual(one, self.digests("two", 2))
        self.assertEqual(one, self.digests("four", 4))

        def kill_a_packer(cluster, job):
            cluster.navitctl("wait", job, "--for=step=3", "--timeout=120")
            cluster.processes["packer-0"].kill()

        self.assertEqual(one, self.digests("killed", 2, kill_a_packer))

        def add_and_remove(cluster, job):
            cluster.navitctl("wait", job, "--for=step=3", "--timeout=120")
            cluster.start_packer("late")
            wait_until(
                "the late packer",
                lambda: any(w["name"] == "late" for w in cluster.json("workers")["workers"]),
            )
            self.assertEqual(cluster.processes["packer-0"].terminate(), 0)

        self.assertEqual(one, self.digests("changing", 1, add_and_remove))


if __name__ == "__main__":
    unittest.main()
