"""The life of a job as a person meets it: pause, resume, cancel, retry, bad input, bad data."""
import json
import os
import pathlib
import unittest

from tests.cluster import data
from tests.cluster.cluster import Cluster, wait_until

FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])
# Steps of a job that something happens to on its way: a step takes a few milliseconds, and a command
# must have reached it long before its end.
STEPS = 1500


class JobsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dataset = data.make_dataset(FOLDER / "data")
        cls.cluster = Cluster(FOLDER / "cluster")
        cls.cluster.start_coordinator()
        # A shard that vanished is given up soon.
        cls.cluster.start_packer("packer-0", environment={"NAVIT_SOURCE_RETRY_SECONDS": "5"})
        cls.cluster.start_trainers(1)

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(None)

    def job(self, name, dataset=None, **changes):
        changes.setdefault("workers", {"trainers": {"min": 1, "max": 1}})
        return data.tiny_job(
            name, dataset or self.dataset, FOLDER / "ckpt", **changes
        )

    def failed_reason(self, spec):
        name = self.cluster.submit(spec)
        done = self.cluster.navitctl(
            "wait", name, "--for=succeeded", "--timeout=120", check=False
        )
        job = self.cluster.json("get", name)
        self.assertEqual(job["state"], "failed", job)
        self.assertEqual(done.returncode, 1, done.stderr)
        return job["reason"]

    def losses(self, name):
        return [step["loss"] for step in self.cluster.history(name)]

    def undisturbed_losses(self):
        """Of STEPS steps; trained once."""
        if "plain" not in {job["name"] for job in self.cluster.json("list")["jobs"]}:
            self.cluster.wait(self.cluster.submit(self.job("plain", steps=STEPS)), "succeeded")
        return self.losses("plain")

    def test_an_updated_job_goes_on_under_its_new_spec_with_the_undisturbed_curve(self):
        name = self.cluster.submit(self.job("updated", steps=STEPS))
        self.cluster.navitctl("wait", name, "--for=step=4", "--timeout=60")
        self.cluster.navitctl(
            "update", name, "--set=checkpoints.every_steps=60", "--set=budgets.max_hours=2"
        )
        refused = self.cluster.navitctl("update", name, "--set=seed=1", check=False)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("seed: cannot change in a submitted job", refused.stderr)
        self.cluster.wait(name, "succeeded")
        job = self.cluster.json("get", name)
        self.assertGreaterEqual(job["generation"], 2)
        self.assertEqual(job["spec"]["checkpoints"]["every_steps"], 60)
        # One that is due while another is being written comes later, so it is only certain that no
        # two belong to the same 60 steps; every 5 steps they would. The last step's is one more.
        steps = [
            checkpoint["step"]
            for checkpoint in self.cluster.json("checkpoints", name)["checkpoints"]
            if checkpoint["generation"] == job["generation"] and checkpoint["step"] < STEPS
        ]
        self.assertGreater(len(steps), 0)
        self.assertEqual(len({step // 60 for step in steps}), len(steps), steps)
        self.assertIn(" of 2 h", self.cluster.navitctl("describe", name).stdout)
        self.assertEqual(self.losses(name), self.undisturbed_losses())

    def test_a_drained_trainer_leaves_its_job_which_goes_on_where_it_was(self):
        name = self.cluster.submit(self.job("drained", steps=STEPS))
        self.cluster.navitctl("wait", name, "--for=step=4", "--timeout=60")
        self.cluster.navitctl("drain", "trainer-0")
        wait_until(
            "the trainer is free",
            lambda: [
                worker["state"]
                for worker in self.cluster.json("workers")["workers"]
                if worker["name"] == "trainer-0" and not worker.get("jobs")
            ]
            == ["draining"],
        )
        self.assertIn("trainer", self.cluster.navitctl("why", name).stdout)
        self.cluster.navitctl("undrain", "trainer-0")
        self.cluster.wait(name, "succeeded")
        self.assertEqual(self.losses(name), self.undisturbed_losses())

    def test_pause_and_resume_give_the_undisturbed_curve(self):
        paused = self.cluster.submit(self.job("paused", steps=STEPS))
        self.cluster.navitctl("wait", paused, "--for=step=4", "--timeout=60")
        self.cluster.navitctl("pause", paused)
        self.cluster.wait(paused, "paused")
        workers = self.cluster.json("workers")["workers"]
        self.assertEqual({w["state"] for w in workers}, {"idle"}, workers)
        self.cluster.navitctl("resume", paused)
        self.cluster.wait(paused, "succeeded")
        self.assertEqual(self.losses(paused), self.undisturbed_losses())

    def test_cancel_and_retry(self):
        name = self.cluster.submit(self.job("cancelled", steps=STEPS))
        self.cluster.navitctl("wait", name, "--for=step=7", "--timeout=60")
        self.cluster.navitctl("cancel", name)
        done = self.cluster.navitctl("wait", name, "--for=succeeded", "--timeout=60", check=False)
        self.assertEqual(done.returncode, 6, done.stderr)
        self.cluster.navitctl("retry", name)
        self.cluster.wait(name, "succeeded")
        self.assertEqual(len(self.cluster.history(name)), STEPS)

    def test_a_job_given_in_epochs_sees_every_sample_that_often(self):
        name = self.cluster.submit(self.job("epochs", train_for={"epochs": 2}))
        self.cluster.wait(name, "succeeded")
        audit = self.cluster.json("audit", name)
        self.assertEqual(len(audit["epochs"]), 2)
        for epoch in audit["epochs"]:
            self.assertTrue(epoch["complete"])
            self.assertEqual(int(epoch["samples_seen"]), 240)
        self.assertEqual(int(audit["samples"]), 480)

    def test_a_job_without_enough_trainers_says_why_it_waits(self):
        name = self.cluster.submit(self.job("waiting", workers={"trainers": {"min": 9}}))
        wait_until(
            "an explanation",
            lambda: "9" in self.cluster.navitctl("why", name).stdout,
        )
        self.cluster.navitctl("cancel", name)
        self.cluster.navitctl("wait", name, "--for=cancelled", "--timeout=60", check=False)
        self.assertEqual(self.cluster.json("get", name)["state"], "cancelled")

    def test_bad_job_files_are_refused_with_the_path_of_the_field(self):
        mixture = {"train": [{"shards": self.dataset[0]}, {"shards": self.dataset[1]}]}
        cases = [
            ({"packing": {"sequence_lenght": 64}}, "packing.sequence_lenght"),
            ({"packing": {"sequence_length": "long"}}, "packing.sequence_length"),
            ({"packing": {"sequence_length": 0}}, "packing.sequence_length"),
            ({"resolution": {"distribution": "gaussian"}}, "resolution.distribution"),
            ({"optimizer": {"lr": float("nan")}}, "optimizer.lr"),
            ({"train_for": {"steps": 3, "epochs": 1}}, "train_for"),
            ({"data": mixture, "train_for": {"epochs": 1}}, "train_for.epochs"),
        ]
        for change, path in cases:
            with self.subTest(path=path):
                spec = dict(self.job("bad"), **change)
                done = self.cluster.navitctl(
                    "submit", "-", stdin=json.dumps(spec).replace("NaN", ".nan"), check=False
                )
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(path, done.stderr)
                self.assertEqual(done.stdout, "")
        self.assertEqual(self.cluster.navitctl("get", "bad", check=False).returncode, 3)

    def test_no_coordinator_is_exit_5(self):
        done = self.cluster.navitctl("--server=127.0.0.1:1", "list", check=False, seconds=60)
        self.assertEqual(done.returncode, 5, done.stderr)

    def test_a_name_that_exists_is_a_conflict(self):
        self.cluster.submit(self.job("twice", steps=2))
        done = self.cluster.navitctl(
            "submit", "-", stdin=json.dumps(self.job("twice", steps=2)), check=False
        )
        self.assertEqual(done.returncode, 7, done.stderr)

    def test_missing_shards_fail_the_job_by_name(self):
        missing = (str(FOLDER / "nowhere" / "{000..002}.tar"), self.dataset[1])
        self.assertIn("nowhere", self.failed_reason(self.job("missing", missing)))

    def test_a_truncated_shard_fails_the_job_by_name(self):
        folder = FOLDER / "truncated"
        train, heldout = data.make_dataset(folder)
        shard = folder / "train-00001.tar"
        shard.write_bytes(shard.read_bytes()[:5000])
        self.assertIn("train-00001.tar", self.failed_reason(self.job("cut", (train, heldout))))

    def test_broken_images_are_holes_and_later_packs_do_not_move(self):
        folder = FOLDER / "holes"
        samples = data.make_samples(240)
        whole = data.write_shard(folder / "whole" / "0.tar", samples)
        broken = list(samples)
        for i in (3, 77):
            members = dict(broken[i][1])
            image = bytearray(members["png"])
            image[60:] = bytes(len(image) - 60)
            members["png"] = bytes(image)
            broken[i] = (broken[i][0], members)
        data.write_shard(folder / "broken" / "0.tar", broken)
        histories = []
        for name in ("whole", "broken"):
            dataset = (str(folder / name / "0.tar"), self.dataset[1])
            budgets = {"bad_sample_fraction": 0.05}
            job = self.cluster.submit(
                self.job(name, dataset, train_for={"epochs": 1}, budgets=budgets)
            )
            self.cluster.wait(job, "succeeded")
            histories.append(self.cluster.history(job))
        self.assertEqual(int(self.cluster.json("get", "broken")["holes"]), 2)
        self.assertEqual(len(histories[0]), len(histories[1]))
        for a, b in zip(*histories):
            self.assertEqual(a["samples"], b["samples"])
            if int(b.get("holes", 0)) == 0:
                self.assertEqual(a["packs_digest"], b["packs_digest"])
        packer = self.cluster.processes["packer-0"]
        self.assertRegex(
            packer.metrics(), r'navit_samples_skipped_total\{[^}]*reason="decode_error"[^}]*\} 2\b'
        )

    def test_nothing_but_broken_images_fails_the_job_by_its_budget(self):
        folder = FOLDER / "rotten"
        samples = [
            (key, dict(members, png=members["png"][:60] + bytes(40)))
            for key, members in data.make_samples(200)
        ]
        data.write_shard(folder / "0.tar", samples)
        reason = self.failed_reason(
            self.job("rotten", (str(folder / "0.tar"), self.dataset[1]), steps=50)
        )
        self.assertIn("bad_sample_fraction", reason)

    def reason_after(self, name, damage):
        """Why a job fails when `damage` meets one of its shards after its third step."""
        train, heldout = data.make_dataset(FOLDER / name)
        self.cluster.submit(self.job(name, (train, heldout), steps=4000))
        self.cluster.navitctl("wait", name, "--for=step=3", "--timeout=60")
        damage(FOLDER / name / "train-00002.tar")
        # What might come back is read again and again for a while.
        done = self.cluster.navitctl(
            "wait", name, "--for=succeeded", "--timeout=240", check=False
        )
        self.assertEqual(done.returncode, 1, done.stderr)
        return self.cluster.json("get", name)["reason"]

    def test_a_shard_that_changes_under_a_job_is_a_named_error(self):
        reason = self.reason_after(
            "changing", lambda shard: data.write_shard(shard, data.make_samples(80, seed=9))
        )
        self.assertRegex(reason, "train-00002.tar.* changed under the job")

    def test_a_shard_that_vanishes_under_a_job_is_a_named_error(self):
        reason = self.reason_after("vanishing", lambda shard: shard.unlink())
        self.assertRegex(reason, "vanished under the job.*train-00002.tar")

    def test_an_unwritable_checkpoint_folder_is_refused_at_submit(self):
        spec = self.job("nofolder")
        spec["checkpoints"]["directory"] = "/proc/navit"
        done = self.cluster.navitctl("submit", "-", stdin=json.dumps(spec), check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("checkpoints.directory", done.stderr)


if __name__ == "__main__":
    unittest.main()
