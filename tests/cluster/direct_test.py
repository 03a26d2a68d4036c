"""Direct delivery: trainers fetch packs from packers, and train on the same packs to the same losses
as through the relay, also where they cannot reach a packer, over TLS, and when a packer dies."""
import os
import pathlib
import re
import signal
import unittest

from tests.cluster import data
from tests.cluster.certificates import Certificates
from tests.cluster.cluster import Cluster, wait_until

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

    def run_job(
        self, name, delivery, packer_arguments=(), tls=None, steps=STEPS, disturb=None, **changes
    ):
        """The job's curve, and how its packs went. `tls`: arguments of Cluster.use_tls. `disturb`
        gets the cluster and the job's name; `changes` replace sections of the job."""
        with Cluster(FOLDER / name) as cluster:
            if tls:
                cluster.use_tls(*tls)
            cluster.start_coordinator()
            packers = [
                cluster.start_packer("packer-{}".format(i), arguments=packer_arguments)
                for i in range(2)
            ]
            cluster.start_trainers(2)
            spec = data.tiny_job(name, self.dataset, cluster.folder / name, steps=steps, **changes)
            spec["workers"]["delivery"] = delivery
            job = cluster.submit(spec)
            if disturb:
                disturb(cluster, job)
            curve = cluster.checked_curve(job, steps)
            alive = [packer for packer in packers if packer.popen.poll() is None]
            return curve, {
                "kept": metric(
                    cluster.coordinator, 'navit_relay_packs_total{outcome="direct"}'
                ),
                "fallbacks": metric(cluster.coordinator, "navit_direct_fallbacks_total"),
                "fetched": sum(metric(p, "navit_packer_direct_bytes_total") for p in alive),
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

        certificates = Certificates(FOLDER / "tls", "navit")
        mutual, ways = self.run_job("mutual-tls", "direct", tls=(certificates, True))
        self.assertGreaterEqual(ways["kept"], 5 * STEPS)
        self.assertGreater(ways["fetched"], 0)
        self.assertEqual(ways["fallbacks"], 0)
        self.assertEqual(mutual, relayed)

        # Packers without a certificate cannot serve TLS.
        one_way, ways = self.run_job("tls", "direct", tls=(certificates, False))
        self.assertEqual(ways, {"kept": 0, "fallbacks": 0, "fetched": 0})
        self.assertEqual(one_way, relayed)

    def test_a_packer_killed_while_trainers_fetch_from_it(self):
        steps = 200

        def disturb(cluster, job):
            cluster.navitctl("wait", job, "--for=step=7", "--timeout=120")
            dying, other = (cluster.processes["packer-{}".format(i)] for i in range(2))

            def why():
                return cluster.navitctl("why", job).stdout

            def stands():
                """Whether the trainers have a whole step and do not get on."""
                step = metric(cluster.coordinator, 'navit_step{{navit_job="{}"}}'.format(job))
                return "lacks packs" not in why() and step

            def trainers_fetch_from_dying():
                # The oldest step lacks packs of one packer alone, those of the other one lie ready;
                # then the first one makes the step whole, and the other one gives nothing.
                other.popen.send_signal(signal.SIGSTOP)
                ready = any(
                    re.search(r"lacks packs: [0-4] of packer-1;", why()) for _ in range(10)
                )
                if ready:
                    dying.popen.send_signal(signal.SIGSTOP)
                other.popen.send_signal(signal.SIGCONT)
                seen = [False]
                while ready and len(seen) < 20:
                    seen.append(stands())
                    if seen[-1] and seen[-3:] == [seen[-1]] * 3:
                        return True
                dying.popen.send_signal(signal.SIGCONT)
                return False

            wait_until("trainers that wait for packs of one packer", trainers_fetch_from_dying)
            dying.kill()

        timeouts = {
            "heartbeat_seconds": 10,
            "lease_seconds": 12,
            "collective_seconds": 20,
            "coordinator_grace_seconds": 120,
        }
        undisturbed, _ = self.run_job("undisturbed", "direct", steps=steps)
        curve, ways = self.run_job(
            "killed", "direct", steps=steps, timeouts=timeouts, disturb=disturb
        )
        self.assertEqual(curve, undisturbed)
        # Fetches broke, and the packs of the packer that is left were fetched on.
        self.assertGreaterEqual(ways["fallbacks"], 1)
        self.assertGreater(ways["fetched"], 0)


if __name__ == "__main__":
    unittest.main()
