"""Two coordinators on one etcd: whatever befalls the one that leads, the other one takes over, the
job goes on without losing or repeating a sample, and its loss is the undisturbed one, bit for bit."""
import http.client
import os
import pathlib
import re
import signal
import unittest

from tests.cluster import data, etcd
from tests.cluster.cluster import Cluster, wait_until

FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])
# About thirty seconds of an idle machine; the faults take half of them.
STEPS = 3000


class Replicas:
    """Coordinators one and two of a cluster, and which of them leads."""

    def __init__(self, cluster, store, lead_seconds):
        self.cluster = cluster
        self.arguments = ["--state=" + store.state("fleet"), "--lead_seconds={}".format(lead_seconds)]
        self.arguments += store.flags
        self.processes = {}
        self.ports = {}
        self.start("one")
        self.leader()  # It leads before there is another one.
        self.start("two")
        cluster.address = ",".join("127.0.0.1:{}".format(port) for port in self.ports.values())

    def start(self, name):
        """Starts the coordinator, again on its old port if it ran before."""
        self.processes[name] = self.cluster.start_replica(
            name, self.ports.get(name, 0), self.arguments
        )
        self.ports[name] = self.processes[name].port("grpc")

    def metric(self, name, series):
        """The series of a replica's /metrics; None while it does not answer, or ends its term meanwhile."""
        try:
            text = self.processes[name].metrics()
        except (OSError, http.client.HTTPException):
            return None
        (value,) = re.findall(r"^{} (\S+)$".format(re.escape(series)), text, re.M)
        return float(value)

    def leader(self, among=None):
        """The name of the replica that leads, once one does."""
        names = among or list(self.processes)
        return wait_until(
            "a leader among {}".format(names),
            lambda: next((n for n in names if self.metric(n, "navit_is_leader") == 1), None),
        )

    def other(self, name):
        return "two" if name == "one" else "one"


@unittest.skipUnless(etcd.installed(), "etcd-server is not installed")
class FailoverTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dataset = data.make_dataset(FOLDER / "data")

    def submit(self, cluster, name):
        return cluster.submit(
            data.tiny_job(name, self.dataset, cluster.folder / "ckpt", steps=STEPS)
        )

    def test_job_goes_on_under_the_other_coordinator(self):
        with Cluster(FOLDER / "undisturbed") as cluster:
            cluster.start_coordinator()
            cluster.start_packers(1)
            cluster.start_trainers(2)
            undisturbed = cluster.checked_curve(self.submit(cluster, "undisturbed"), STEPS)

        store = etcd.Etcd(FOLDER / "etcd", members=3, tls=True)
        with store, Cluster(FOLDER / "disturbed") as cluster:
            replicas = Replicas(cluster, store, lead_seconds=3)
            cluster.start_packers(1)
            cluster.start_trainers(2)
            job = self.submit(cluster, "disturbed")
            cluster.goes_on(job)

            # Stopped past its lease, then resumed.
            stopped = replicas.leader()
            replicas.processes[stopped].popen.send_signal(signal.SIGSTOP)
            self.assertEqual(replicas.leader([replicas.other(stopped)]), replicas.other(stopped))
            cluster.goes_on(job)
            replicas.processes[stopped].popen.send_signal(signal.SIGCONT)
            wait_until(
                stopped + " to stand by",
                lambda: replicas.metric(stopped, "navit_is_leader") == 0,
            )
            cluster.goes_on(job)

            # Deposed without a chance to know: its next write is refused.
            deposed = replicas.leader()
            store.delete("/fleet/leader")
            refused = 'navit_stale_writes_rejected_total{kind="store"}'
            wait_until("a refused write", lambda: (replicas.metric(deposed, refused) or 0) > 0)
            cluster.goes_on(job)

            # The store loses the member that leads it, then all; they come back.
            first = store.leader()
            store.kill(first)
            cluster.goes_on(job)
            self.assertIsNot(store.leader(), first)
            store.start(first)
            store.kill(*store.members)
            store.start(*store.members)
            cluster.goes_on(job)

            killed = replicas.leader()
            replicas.processes[killed].kill()
            cluster.goes_on(job)
            self.assertGreater(
                replicas.metric(replicas.other(killed), "navit_leader_transitions_total"), 1
            )
            self.assertEqual(cluster.checked_curve(job, STEPS), undisturbed)

    def test_sigterm_hands_over_and_standbys_name_the_leader(self):
        with etcd.Etcd(FOLDER / "etcd-2") as store, Cluster(FOLDER / "handover") as cluster:
            # Without a word from the leader, the other one would wait for ten minutes.
            replicas = Replicas(cluster, store, lead_seconds=600)
            self.assertEqual(replicas.leader(), "one")
            every = cluster.address
            cluster.address = "127.0.0.1:{}".format(replicas.ports["two"])
            done = cluster.navitctl("list", check=False)
            self.assertEqual(done.returncode, 5, done.stderr)
            self.assertIn("127.0.0.1:{} leads".format(replicas.ports["one"]), done.stderr)
            cluster.address = every
            job = self.submit(cluster, "kept")

            self.assertEqual(replicas.processes["one"].terminate(), 0)
            self.assertEqual(replicas.leader(["two"]), "two")
            self.assertEqual(cluster.json("get", job)["state"], "queued")


if __name__ == "__main__":
    unittest.main()
