"""A fleet goes to the next release under a running job: every process is replaced, one by one, and
the job does not notice. Releases that do not work together say so."""
import os
import pathlib
import unittest

from tests.cluster import data
from tests.cluster.cluster import Cluster, wait_until

FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])
# More than the job has done, at 10 ms a step, when the last worker is replaced.
STEPS = 1200
OLD, NEXT = "0.1.0", "0.2.0"


class UpgradeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dataset = data.make_dataset(FOLDER / "data")

    def job(self, cluster, name):
        return cluster.submit(data.tiny_job(name, self.dataset, cluster.folder / "ckpt", steps=STEPS))

    def versions(self, cluster):
        workers = cluster.json("workers")["workers"]
        return {worker["name"]: worker["version"] for worker in workers if worker["state"] != "lost"}

    def test_every_process_is_replaced_under_a_running_job(self):
        with Cluster(FOLDER / "undisturbed") as cluster:
            cluster.start_coordinator()
            cluster.start_packers(2)
            cluster.start_trainers(2)
            undisturbed = cluster.checked_curve(self.job(cluster, "undisturbed"), STEPS)

        with Cluster(FOLDER / "upgraded") as cluster:
            cluster.start_coordinator()
            workers = cluster.start_packers(2) + cluster.start_trainers(2)
            job = self.job(cluster, "upgraded")
            cluster.navitctl("wait", job, "--for=step=5", "--timeout=120")
            self.assertEqual(set(self.versions(cluster).values()), {OLD})

            self.assertEqual(cluster.coordinator.terminate(), 0)
            cluster.build = "-next"
            cluster.start_coordinator()
            self.assertIn("0.2.0", cluster.navitctl("version").stdout)
            # Clients of the release before, and workers of it, which come back by themselves.
            cluster.build = ""
            cluster.goes_on(job)
            wait_until("all workers of the old release", lambda: len(self.versions(cluster)) == 4)
            self.assertEqual(set(self.versions(cluster).values()), {OLD})
            cluster.build = "-next"

            for worker in workers:
                self.assertEqual(worker.terminate(), 0, worker.tail())
                start = cluster.start_packer if "packer" in worker.name else cluster.start_trainer
                start(worker.name)
                wait_until(
                    worker.name + " of the next release",
                    lambda: self.versions(cluster).get(worker.name) == NEXT,
                )
                cluster.goes_on(job)
            self.assertEqual(set(self.versions(cluster).values()), {NEXT})
            self.assertEqual(cluster.checked_curve(job, STEPS), undisturbed)

    def test_workers_and_clients_wait_for_their_coordinator(self):
        with Cluster(FOLDER / "order") as cluster:
            cluster.start_coordinator()
            cluster.build = "-next"
            for start in (cluster.start_packer, cluster.start_trainer):
                worker = start("early")
                self.assertNotEqual(worker.popen.wait(timeout=60), 0)
                self.assertIn("is newer than the coordinator, which is 0.1.0", worker.tail())
                self.assertIn("upgrade the coordinator first", worker.tail())
            for command in (["list"], ["watch", "some"]):
                done = cluster.navitctl(*command, check=False)
                self.assertEqual(done.returncode, 7, done.stderr)
                self.assertIn("0.2.0 is newer than the coordinator", done.stderr)


if __name__ == "__main__":
    unittest.main()
