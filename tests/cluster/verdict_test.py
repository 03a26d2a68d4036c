"""A packer of one thread over large images cannot feed the trainer, and the job says so: what
`navitctl describe` prints names packers, with the numbers and the next action."""
import os
import pathlib
import re
import unittest

from tests.cluster import data
from tests.cluster.cluster import Cluster, wait_until

FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])


def large_dataset(folder):
    """Few images of 2.25 megapixels under many keys: decoding one takes tens of milliseconds."""
    images = [data.png(1500, 1500, (40 * i, 120, 200 - 30 * i)) for i in range(4)]
    samples = [
        ("{:06d}".format(i), {"png": images[i % len(images)], "txt": b"large picture"})
        for i in range(120)
    ]
    data.write_shard(folder / "train-00000.tar", samples[:100])
    data.write_shard(folder / "heldout-00000.tar", samples[100:])
    return str(folder / "train-*.tar"), str(folder / "heldout-*.tar")


class VerdictTest(unittest.TestCase):
    def test_too_few_packers_are_named(self):
        with Cluster(FOLDER / "cluster") as cluster:
            cluster.start_coordinator()
            cluster.start_packer("packer-0", threads=1)
            cluster.start_trainer("trainer-0")
            spec = data.tiny_job(
                "starved",
                large_dataset(FOLDER / "data"),
                FOLDER / "ckpt",
                steps=100000,
                workers={"trainers": {"min": 1, "max": 1}, "packers": {"min": 1, "max": 8}},
            )
            name = cluster.submit(spec)
            text = wait_until(
                "the verdict of an interval with packs and with steps",
                lambda: (
                    lambda t: "held up by  packers" in t
                    and re.search(r"^ +packs made +[0-9.]*[1-9]", t, re.M)
                    and "packs wanted" in t
                    and t
                )(cluster.navitctl("describe", name).stdout),
            )
            action = re.search(r"^next +packers 1 -> (\d+)$", text, re.M)
            self.assertTrue(action, text)
            self.assertGreater(int(action.group(1)), 1)
            wait = re.search(r"^ +data wait +(\d+) %$", text, re.M)
            self.assertGreater(int(wait.group(1)), 10, text)
            made = float(re.search(r"^ +packs made +([0-9.]+)/s$", text, re.M).group(1))
            wanted = float(re.search(r"^ +packs wanted +([0-9.]+)/s$", text, re.M).group(1))
            self.assertGreater(wanted, made, text)
            cluster.navitctl("cancel", name)


if __name__ == "__main__":
    unittest.main()
