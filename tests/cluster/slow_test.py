"""A stopped trainer, a slow packer, a slow rank: memory stays bounded by credits, other jobs go on,
and the one that holds a job up is named."""
import contextlib
import os
import pathlib
import re
import signal
import threading
import unittest

from tests.cluster import data
from tests.cluster.cluster import Cluster, wait_until

FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])
MIB = 1 << 20
PATIENT = {
    "heartbeat_seconds": 100,
    "lease_seconds": 110,
    "collective_seconds": 120,
    "coordinator_grace_seconds": 200,
}


def resident_bytes(process):
    pages = int(pathlib.Path("/proc/{}/statm".format(process.popen.pid)).read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def metric(process, name, **labels):
    """The sample of the metric that has all these labels; None: there is none."""
    for line in process.metrics().splitlines():
        if re.match(re.escape(name) + r"[ {]", line):
            if all('{}="{}"'.format(k, v) in line for k, v in labels.items()):
                return float(line.rsplit(" ", 1)[1])
    return None


@contextlib.contextmanager
def slowed(process):
    """The process runs for a small part of the time."""
    over = threading.Event()

    def toggle():
        while not over.is_set():
            process.popen.send_signal(signal.SIGSTOP)
            over.wait(0.15)
            process.popen.send_signal(signal.SIGCONT)
            over.wait(0.02)

    thread = threading.Thread(target=toggle)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class SlowTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dataset = data.make_dataset(FOLDER / "data")

    def job(self, name, cluster, **changes):
        changes.setdefault("timeouts", PATIENT)
        return data.tiny_job(name, self.dataset, cluster.folder / name, steps=100000, **changes)

    def step(self, cluster, job):
        return int(cluster.json("get", job).get("committed_step", 0))

    def advance(self, cluster, job, steps):
        wanted = self.step(cluster, job) + steps
        wait_until(job + " to go on", lambda: self.step(cluster, job) >= wanted)

    def test_a_stopped_trainer_stops_its_packers_and_nobody_else(self):
        # Packs of up to a megabyte, so that an unbounded queue would show within seconds.
        budget = 24 * MIB
        large = data.make_samples(60, seed=3, largest=500)
        data.write_shard(FOLDER / "large" / "train.tar", large[:50])
        data.write_shard(FOLDER / "large" / "heldout.tar", large[50:])
        with Cluster(FOLDER / "stopped") as cluster:
            cluster.start_coordinator()
            packers = cluster.start_packers(2)
            one = {"trainers": {"min": 1, "max": 1}, "packers": {"min": 2}}
            stopped = cluster.start_trainer("trainer-stopped")
            spec = self.job("stopped", cluster, workers=one, budgets={"relay_bytes": budget})
            spec["data"] = {
                "train": [{"shards": str(FOLDER / "large" / "train.tar")}],
                "validation": [{"shards": str(FOLDER / "large" / "heldout.tar")}],
            }
            spec["resolution"] = {
                "distribution": "uniform",
                "min_pixels": 250,
                "max_pixels": 500,
                "max_upscale": 4.0,
            }
            spec["packing"] = {
                "sequence_length": 4096,
                "sequences_per_step": 8,
                "window_samples": 64,
            }
            cluster.submit(spec)
            self.advance(cluster, "stopped", 2)
            other = cluster.start_trainer("trainer-other")
            cluster.submit(self.job("other", cluster, workers=one))
            self.advance(cluster, "other", 2)

            stopped.popen.send_signal(signal.SIGSTOP)

            def queued():
                return metric(cluster.coordinator, "navit_relay_queue_bytes", navit_job="stopped")

            wait_until("a full relay", lambda: queued() > budget - 2 * MIB)
            self.advance(cluster, "other", 5)
            before = {p.name: resident_bytes(p) for p in [cluster.coordinator] + packers}
            for _ in range(4):
                self.advance(cluster, "other", 25)
                self.assertLessEqual(queued(), budget)
                for process in [cluster.coordinator] + packers:
                    self.assertLess(
                        resident_bytes(process), before[process.name] + 16 * MIB, process.name
                    )
            why = cluster.navitctl("why", "stopped").stdout
            self.assertRegex(why, r"least advanced: rank 0 \(trainer-stopped\)")
            self.assertNotIn("lacks packs", why)
            self.assertIsNone(other.popen.poll())

            stopped.popen.send_signal(signal.SIGCONT)
            self.advance(cluster, "stopped", 2)

    def test_a_slow_rank_is_named(self):
        with Cluster(FOLDER / "rank") as cluster:
            cluster.start_coordinator()
            cluster.start_packer("packer-0")
            trainers = {t.name: t for t in cluster.start_trainers(2)}
            # Large enough that a rank's own work is most of a step.
            spec = self.job("rank", cluster)
            for tower in spec["model"].values():
                tower["size"] = {"width": 256, "depth": 4, "mlp_dim": 1024, "heads": 4}
            job = cluster.submit(spec)
            self.advance(cluster, job, 2)
            ranks = cluster.json("get", job)["trainers"]
            with slowed(trainers[ranks[1]]):
                text = wait_until(
                    "the verdict",
                    lambda: (lambda t: "the ranks wait for rank 1" in t and t)(
                        cluster.navitctl("describe", job).stdout
                    ),
                )
                self.assertRegex(text, r"(?m)^next +replace or free the machine of rank 1$")
                lags = [
                    metric(trainers[name], "navit_rank_step_lag_seconds", rank=str(rank))
                    for rank, name in enumerate(ranks)
                ]
                self.assertGreater(lags[1], lags[0])

    def test_a_slow_packer_is_named(self):
        with Cluster(FOLDER / "packer") as cluster:
            cluster.start_coordinator()
            slow, _ = cluster.start_packers(2)
            cluster.start_trainer("trainer-0")
            one = {"trainers": {"min": 1, "max": 1}, "packers": {"min": 2}}
            job = cluster.submit(self.job("packer", cluster, workers=one))
            self.advance(cluster, job, 2)
            with slowed(slow):
                wait_until(
                    "the packer's name",
                    lambda: re.search(
                        r"lacks packs: ([^;]*, )?[0-9]+ of packer-0[,;]",
                        cluster.navitctl("why", job).stdout,
                    ),
                )
            self.advance(cluster, job, 2)


if __name__ == "__main__":
    unittest.main()
