"""What a job will do with its data, before it runs: navitctl preview and validate, through a packer."""
import os
import pathlib
import struct
import unittest

from tests.cluster import data
from tests.cluster.cluster import Cluster

FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])


def as_file(folder, spec):
    path = folder / (spec["name"] + ".json")
    path.write_text(data.json.dumps(spec))
    return str(path)


class ProbeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dataset = data.make_dataset(FOLDER / "data", samples=600, shards=4)
        cls.cluster = Cluster(FOLDER / "cluster")
        cls.addClassCleanup(cls.cluster.__exit__, None)
        cls.cluster.start_coordinator()
        # What there is without a packer is looked at first.
        cls.alone = {
            command: cls.cluster.navitctl(
                *arguments, check=False, stdin=data.json.dumps(cls.spec(cls, "alone"))
            )
            for command, arguments in {
                "preview": ["preview", "-", "-o", str(FOLDER / "alone.png")],
                "validate": ["validate", "-"],
            }.items()
        }
        cls.cluster.start_packers(2)

    def spec(self, name, steps=60, **changes):
        return data.tiny_job(name, self.dataset, FOLDER / name, steps=steps, **changes)

    def file(self, *arguments, **changes):
        return as_file(FOLDER, self.spec(*arguments, **changes))

    def png(self, *arguments):
        """Width, height and bytes of the picture that preview writes."""
        out = FOLDER / "out.png"
        done = self.cluster.navitctl("preview", *arguments, "-o", str(out))
        self.assertEqual(done.stdout, "{}\n".format(out))
        picture = out.read_bytes()
        self.assertEqual(picture[:8], b"\x89PNG\r\n\x1a\n")
        self.assertEqual(picture[12:16], b"IHDR")
        self.summary = done.stderr
        return struct.unpack(">II", picture[16:24]) + (picture,)

    def test_without_a_packer(self):
        preview = self.alone["preview"]
        self.assertEqual(preview.returncode, 5, preview.stderr)
        self.assertIn("no packer is connected", preview.stderr)
        self.assertFalse((FOLDER / "alone.png").exists())
        validate = self.alone["validate"]
        self.assertEqual(validate.returncode, 0, validate.stderr)
        self.assertIn("data: not looked at: no packer is connected", validate.stdout)

    def test_preview_draws_the_window_and_stores_nothing(self):
        before = self.cluster.json("list")
        job = self.file("drawn")
        width, height, picture = self.png(job, "--rows", "3")
        self.assertEqual(len(self.summary.splitlines()), 4, self.summary)
        self.assertRegex(self.summary, r"sequence 0: [\d.]+ % full, \d+ images\n")
        self.assertEqual((width, height, picture), self.png(job, "--rows", "3"))
        other = self.png(job, "--rows", "3", "--window", "1")
        self.assertNotEqual(picture, other[2])
        more = self.png(job, "--rows", "6")
        self.assertEqual(width, more[0])
        self.assertGreater(more[1], height + 150)
        self.assertEqual(self.cluster.json("list"), before)

    def test_preview_refuses_what_is_wrong(self):
        done = self.cluster.navitctl(
            "preview", self.file("missing"), "-o", "x.png", check=False,
            *["--set", "data.train.0.shards={}/no-*.tar".format(FOLDER)]
        )
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("data.train[0].shards", done.stderr)
        self.assertIn("no such shard", done.stderr)
        ended = self.file("ended", train_for={"epochs": 1})
        done = self.cluster.navitctl(
            "preview", ended, "--window", "1000", "-o", "x.png", check=False
        )
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("window 1000: the stream has 10", done.stderr)
        done = self.cluster.navitctl("preview", "--job", "nobody", "-o", "x.png", check=False)
        self.assertEqual(done.returncode, 3, done.stderr)
        for wrong in (["--rows", "0"], ["--rows", "33"], ["--window", "1.5"], ["--job", "x"]):
            done = self.cluster.navitctl("preview", ended, *wrong, "-o", "x.png", check=False)
            self.assertEqual(done.returncode, 2, wrong)

    def test_the_forecast_is_what_the_job_then_does(self):
        spec = self.spec("forecast", workers={"trainers": {"min": 1, "max": 1}})
        forecast = self.cluster.json("validate", as_file(FOLDER, spec))["forecast"]
        self.assertEqual(forecast["datasets"][0]["samples"], 600)
        self.assertEqual(forecast["datasets"][0]["shards"], 4)
        text = self.cluster.navitctl("validate", as_file(FOLDER, spec)).stdout
        for name in ("expected padding", "images per sequence", "examples per step", "attention",
                     "steps per epoch", "packer cores per trainer", "relay bandwidth per trainer"):
            self.assertIn("\n{}: ".format(name), text)
        self.assertIn("\naspect ratio (width / height):\n", text)
        self.assertNotIn("warning", text)

        self.cluster.start_trainer("trainer-0")
        job = self.cluster.submit(spec)
        self.cluster.wait(job, "succeeded")
        steps = self.cluster.history(job)
        self.assertEqual(len(steps), 60)
        packs = sum(int(s["packs"]) for s in steps)
        fill = sum(int(s["image_tokens"]) for s in steps) / sum(
            int(s["capacity_tokens"]) for s in steps
        )
        examples = [int(s["valid_examples"]) for s in steps]
        planned_fill = forecast["image_tokens"] / forecast["capacity_tokens"]
        # Other windows of the same stream: padding to half a percent of the capacity, images to 4 %.
        self.assertAlmostEqual(fill, planned_fill, delta=0.005)
        self.assertLess(planned_fill, 1)
        mean = forecast["images_per_sequence"]["mean"]
        self.assertAlmostEqual(sum(examples) / packs / mean, 1, delta=0.04)
        per_step = forecast["images_per_step"]
        self.assertAlmostEqual(sum(examples) / len(examples) / per_step["mean"], 1, delta=0.04)
        outside = [e for e in examples if not per_step["p1"] <= e <= per_step["p99"]]
        self.assertLess(len(outside), 0.1 * len(examples))

        # The same job again, by its name: its own data, frozen.
        self.png("--job", job, "--rows", "2")
        by_job = self.summary
        self.png(as_file(FOLDER, spec), "--rows", "2")
        self.assertEqual(by_job, self.summary)

    def test_one_size_is_warned_of(self):
        shard = data.write_shard(
            FOLDER / "square" / "0.tar",
            [
                ("{}".format(i), {"png": data.png(40, 40, (i, 0, 0)), "txt": b"a square"})
                for i in range(40)
            ],
        )
        done = self.cluster.navitctl(
            "validate", self.file("square"), "--set", "data.train.0.shards={}".format(shard)
        )
        self.assertIn("warning: 100 % of the images have one size, 40 x 40 pixels", done.stdout)


if __name__ == "__main__":
    unittest.main()
