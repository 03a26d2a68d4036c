"""Direct delivery: trainers fetch packs from packers, and train on the same packs to the same losses
as through the relay, also where they cannot reach a packer."""
import os
import pathlib
import re
import unittest

from tests.cluster import data
from tests.cluster.cluster import Cluster

FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])
STEPS = 15


def metric(process, sample):
    """The value of a sample as the text format writes it; 0: there is none."""
    found = re.search("(?m)^{} ([^ ]+)$".format(re.escape(sample)), process.metrics())
    return float(found.group(1)) if found else 0


class DirectTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dataset = data.make_dataset(FOLDER / "data")

    def run_job(self, name, delivery, packer_arguments=()):
        """The job's curve, and how its packs went."""
        with Cluster(FOLDER / name) as cluster:
            cluster.start_coordinator()
            packers = [
                cluster.start_packer("packer-{}".format(i), arguments=packer_arguments)
                for i in range(2)
            ]
            cluster.start_trainers(2)
            spec = data.tiny_job(name, self.dataset, cluster.folder / name, steps=STEPS)
            spec["workers"]["delivery"] = delivery
            curve = cluster.checked_curve(cluster.submit(spec), STEPS)
            return curve, {
                "kept": metric(
                    cluster.coordinator, 'navit_relay_packs_total{outcome="direct"}'
                ),
                "fallbacks": metric(cluster.coordinator, "navit_direct_fallbacks_total"),
                "fetched": sum(metric(p, "navit_packer_direct_bytes_total") for p in packers),
            }

    def test_packs_and_losses_are_those_of_the_relay(self):
        relayed, ways = self.run_job("relayed", "relay")
        self.assertEqual(ways, {"kept": 0, "fallbacks": 0, "fetched": 0})

        direct, ways = self.run_job("direct", "direct")
        self.assertGreaterEqual(ways["kept"], 5 * STEPS)
        self.assertGreater(ways["fetched"], 0)
        self.assertEqual(ways["fallbacks"], 0)
        self.assertEqual(direct, relayed)

        # Nothing listens at the addresses that these packers name.
        refused, ways = self.run_job("refused", "direct", ["--advertise_host=127.0.0.2"])
        self.assertEqual(ways["fetched"], 0)
        self.assertGreaterEqual(ways["fallbacks"], 1)
        self.assertEqual(refused, relayed)


if __name__ == "__main__":
    unittest.main()
