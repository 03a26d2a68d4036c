"""Packs are a pure function of the job: any number of packers, any order, after any crash."""
import os
import pathlib
import unittest

from tests.cluster import data
from tests.cluster.cluster import Cluster, wait_until

FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])


class PacksTest(unittest.TestCase):
    def digests(self, name, packers, disturb=None, steps=1000, train=None):
        """The digest of (ordinal, content hash) of every step, with so many packers."""
        folder = FOLDER / name
        with Cluster(folder) as cluster:
            cluster.start_coordinator()
            cluster.start_packers(packers)
            cluster.start_trainer("trainer-0")
            workers = {"trainers": {"min": 1, "max": 1}, "packers": {"min": packers, "max": 8}}
            spec = data.tiny_job(name, self.dataset, folder / "ckpt", steps=steps, workers=workers)
            if train:
                spec["data"]["train"] = train
            job = cluster.submit(spec)
            if disturb:
                disturb(cluster, job)
                step = int(cluster.json("get", job)["committed_step"])
                self.assertLess(step, steps, "the job was over before the disturbance")
            cluster.wait(job, "succeeded")
            history = cluster.history(job)
            self.assertEqual([int(s["step"]) for s in history], list(range(1, steps + 1)))
            self.audit(cluster, job, [240] if train is None else [240, 30, 50])
            return [s["packs_digest"] for s in history]

    def audit(self, cluster, job, dataset_samples):
        """Each sample of each epoch of each data set once; all but a data set's last are whole."""
        audit = cluster.json("audit", job)
        self.assertEqual(int(audit.get("repeated_samples", 0)), 0, audit)
        self.assertTrue(audit["plans_match"])
        last = {}
        for epoch in audit["epochs"]:
            dataset = int(epoch.get("dataset", 0))
            number = int(epoch.get("epoch", 0))
            last[dataset] = max(number, last.get(dataset, 0))
        self.assertEqual(sorted(last), list(range(len(dataset_samples))))
        for epoch in audit["epochs"]:
            dataset = int(epoch.get("dataset", 0))
            self.assertEqual(int(epoch["samples_in_epoch"]), dataset_samples[dataset])
            if epoch.get("complete"):
                self.assertEqual(epoch["samples_seen"], epoch["samples_in_epoch"])
            # Ordinals run over the windows of a group: its last windows may be cut anywhere.
            elif int(epoch.get("epoch", 0)) + 10 < last[dataset]:
                self.fail("epoch is not whole: {}".format(epoch))
        self.assertTrue(any(epoch.get("complete") for epoch in audit["epochs"]))

    @classmethod
    def setUpClass(cls):
        cls.dataset = data.make_dataset(FOLDER / "data")
        data.write_shard(FOLDER / "small" / "0.tar", data.make_samples(30, seed=5))
        captions = [
            (key, {"png": members["png"], "cls": members["txt"]})
            for key, members in data.make_samples(50, seed=6)
        ]
        data.write_shard(FOLDER / "labels" / "0.tar", captions[:20])
        data.write_shard(FOLDER / "labels" / "1.tar", captions[20:])

    def test_packs_of_a_mixture_do_not_depend_on_the_packers_nor_on_a_pause(self):
        train = [
            {"shards": self.dataset[0], "weight": 2},
            {"shards": str(FOLDER / "small")},
            {"shards": str(FOLDER / "labels"), "weight": 0.5, "captions": {"field": "cls"}},
        ]
        one = self.digests("mixture", 1, train=train)
        self.assertEqual(one, self.digests("mixture-two", 2, train=train))

        def pause(cluster, job):
            cluster.navitctl("wait", job, "--for=step=7", "--timeout=120")
            cluster.navitctl("pause", job)
            cluster.wait(job, "paused")
            cluster.navitctl("resume", job)

        self.assertEqual(one, self.digests("mixture-four", 4, pause, train=train))
        train[2]["weight"] = 1
        self.assertNotEqual(one, self.digests("mixture-other", 1, train=train))

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
