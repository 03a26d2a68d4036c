"""kill -9 of every role in mid-job: the job finishes by itself, the ledger is whole, and the loss
curve of the same number of ranks is the undisturbed one, bit for bit."""
import os
import pathlib
import unittest

from tests.cluster import data
from tests.cluster.cluster import Cluster, wait_until

FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])
STEPS = 300


class FaultsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dataset = data.make_dataset(FOLDER / "data")
        cls.curve = cls.run_job(cls, "undisturbed", None)

    def run_job(self, name, disturb):
        """Runs the job, disturbed after its third step; returns [(step, loss, packs)]."""
        folder = FOLDER / name
        with Cluster(folder) as cluster:
            cluster.start_coordinator()
            cluster.start_packers(2)
            cluster.start_trainers(2)
            job = cluster.submit(
                data.tiny_job(name, self.dataset, folder / "ckpt", steps=STEPS)
            )
            if disturb:
                cluster.navitctl("wait", job, "--for=step=7", "--timeout=120")
                disturb(cluster)
                if cluster.coordinator.popen.poll() is None:
                    step = int(cluster.json("get", job)["committed_step"])
                    assert step < STEPS, "the job was over before the fault"
            cluster.wait(job, "succeeded")
            audit = cluster.json("audit", job)
            assert int(audit.get("repeated_samples", 0)) == 0, audit
            assert not audit.get("bad_steps"), audit
            assert audit.get("plans_match"), audit
            assert int(audit["last_step"]) == STEPS, audit
            for epoch in audit["epochs"]:
                if epoch.get("complete"):
                    assert epoch["samples_seen"] == epoch["samples_in_epoch"], audit
            return [(s["step"], s["loss"], s["packs_digest"]) for s in cluster.history(job)]

    def test_packer_killed(self):
        self.assertEqual(
            self.curve, self.run_job("packer", lambda c: c.processes["packer-1"].kill())
        )

    def test_all_packers_killed_then_back(self):
        def disturb(cluster):
            for name in ("packer-0", "packer-1"):
                cluster.processes[name].kill()
            cluster.start_packer("packer-2")

        self.assertEqual(self.curve, self.run_job("packers", disturb))

    def test_trainer_killed_and_replaced(self):
        def disturb(cluster):
            cluster.processes["trainer-1"].kill()
            cluster.start_trainer("trainer-2")

        self.assertEqual(self.curve, self.run_job("trainer", disturb))

    def test_all_trainers_killed_go_on_from_the_checkpoint(self):
        def disturb(cluster):
            wait_until(
                "a checkpoint",
                lambda: cluster.json("checkpoints", "trainers").get("checkpoints"),
            )
            for name in ("trainer-0", "trainer-1"):
                cluster.processes[name].kill()
            cluster.start_trainer("trainer-2")
            cluster.start_trainer("trainer-3")

        self.assertEqual(self.curve, self.run_job("trainers", disturb))

    def test_coordinator_killed(self):
        def disturb(cluster):
            cluster.coordinator.kill()
            cluster.start_coordinator()

        self.assertEqual(self.curve, self.run_job("coordinator", disturb))

    def test_coordinator_and_trainer_killed_together(self):
        def disturb(cluster):
            cluster.coordinator.kill()
            cluster.processes["trainer-0"].kill()
            cluster.start_coordinator()
            cluster.start_trainer("trainer-2")

        self.assertEqual(self.curve, self.run_job("both", disturb))


if __name__ == "__main__":
    unittest.main()
