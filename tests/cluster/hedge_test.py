"""A packer that stops in the middle of a job, and is not taken for lost: its windows are leased a
second time, and the job ends with the same packs and the same losses, through the relay and where
trainers fetch from packers."""
import os
import pathlib
import re
import signal
import unittest

from tests.cluster import data
from tests.cluster.cluster import Cluster, wait_until

FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])
STEPS = 120
# Longer than the test: nothing but a second lease helps.
FOR_EVER = {
    "heartbeat_seconds": 600,
    "lease_seconds": 700,
    "collective_seconds": 800,
    "coordinator_grace_seconds": 900,
}


class HedgeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dataset = data.make_dataset(FOLDER / "data")

    def run_job(self, name, delivery, disturb=None):
        """The job's curve. `disturb` gets the cluster, with the job at its first steps."""
        with Cluster(FOLDER / name) as cluster:
            cluster.start_coordinator()
            cluster.start_packers(2)
            cluster.start_trainers(2)
            spec = data.tiny_job(
                name, self.dataset, cluster.folder / name, steps=STEPS, timeouts=FOR_EVER
            )
            spec["workers"]["delivery"] = delivery
            job = cluster.submit(spec)
            cluster.navitctl("wait", job, "--for=step=7", "--timeout=120")
            if disturb:
                disturb(cluster, job)
            return cluster.checked_curve(job, STEPS)

    def stop_a_packer(self, cluster, job):
        """The job trains and evaluates to its end while a packer of it stands still."""
        stopped = cluster.processes["packer-0"]

        def count(sample):
            found = re.search(
                "(?m)^{} ([^ ]+)$".format(re.escape(sample)), cluster.coordinator.metrics()
            )
            return float(found.group(1))

        def owes_packs():
            """The packer stands still, and the oldest step waits for packs of it."""
            stopped.popen.send_signal(signal.SIGSTOP)
            for _ in range(10):
                why = cluster.navitctl("why", job).stdout
                if re.search(r"lacks packs: ([^;]*, )?[0-9]+ of packer-0[,;]", why):
                    return True
            stopped.popen.send_signal(signal.SIGCONT)
            return False

        wait_until("a packer that stands still and owes packs", owes_packs)
        cluster.goes_on(job, steps=10)
        self.assertGreater(count('navit_relay_packs_total{outcome="hedged"}'), 0)
        lost = count('navit_workers_lost_total{role="packer",reason="heartbeat"}')
        self.assertEqual(lost, 0, "the job went on because the packer was lost")
        cluster.wait(job, "succeeded")
        # Its old copies are refused, and it takes work again.
        stopped.popen.send_signal(signal.SIGCONT)

    def test_a_packer_that_stands_still_holds_nobody_up(self):
        undisturbed = self.run_job("undisturbed", "relay")
        for delivery in ("relay", "direct"):
            with self.subTest(delivery):
                curve = self.run_job("stopped-" + delivery, delivery, self.stop_a_packer)
                self.assertEqual(curve, undisturbed)


if __name__ == "__main__":
    unittest.main()
