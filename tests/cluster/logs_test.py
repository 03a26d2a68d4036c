"""Logs of a job through the coordinator: those of all its workers, also of one that was killed, kept
over a restart of the coordinator, followed without a gap, filtered, and gone with the job."""
import json
import os
import pathlib
import subprocess
import unittest

from tests.cluster import data
from tests.cluster.cluster import NAVITCTL, Cluster, program, wait_until

FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])


class LogsTest(unittest.TestCase):
    def lines(self, cluster, job, *flags):
        text = cluster.navitctl("logs", job, "-o", "json", *flags).stdout
        return [json.loads(line) for line in text.splitlines()]

    def test_logs_are_kept_followed_and_filtered(self):
        folder = FOLDER / "cluster"
        with Cluster(folder) as cluster:
            cluster.start_coordinator(["--log_format=json"])
            cluster.start_packer("packer-0")
            cluster.start_trainers(2)
            job = cluster.submit(
                data.tiny_job("logged", data.make_dataset(FOLDER / "data"), FOLDER / "ckpt", steps=300000)
            )
            cluster.navitctl("wait", job, "--for=step=20", "--timeout=60")
            followed = open(folder / "followed", "wb")
            follower = subprocess.Popen(
                [program(*NAVITCTL), "logs", job, "-f", "-o", "json", "--server", cluster.address],
                stdout=followed,
                stderr=subprocess.PIPE,
                text=True,
            )

            # A trainer dies: what it said stays.
            started = wait_until(
                "the trainers' lines",
                lambda: (lambda l: len({x["rank"] for x in l if "rank" in x}) == 2 and l)(
                    self.lines(cluster, job)
                ),
            )
            victim = cluster.processes["trainer-1"]
            victim.kill()
            cluster.navitctl("wait", job, "--for=recovering", "--timeout=60")
            cluster.start_trainer("trainer-2")
            wait_until(
                "the replacement's lines",
                lambda: any(x["worker"] == "trainer-2" for x in self.lines(cluster, job)),
            )
            self.assertTrue(
                [x for x in self.lines(cluster, job) if x["worker"] == "trainer-1"],
                "lines of the lost trainer",
            )

            # The coordinator dies: its lines and those of the workers go on behind the old ones.
            cluster.coordinator.kill()
            self.assertIn("is away; trying again for 5m", follower.stderr.readline())
            cluster.start_coordinator(["--log_format=json"])
            cluster.navitctl("cancel", job)
            follower.communicate(timeout=60)
            followed.close()
            self.assertEqual(follower.returncode, 0)
            every = self.lines(cluster, job)
            sequence = [x["sequence"] for x in every]
            self.assertEqual(sequence, list(range(1, len(every) + 1)))
            self.assertEqual(every[: len(started)], started)
            self.assertEqual(
                {x["role"] for x in every} - {"packer"}, {"coordinator", "trainer"}
            )
            self.assertIn("is cancelled", " ".join(x["message"] for x in every))
            # The follower saw each line once, through the restart.
            seen = [json.loads(line) for line in (folder / "followed").read_text().splitlines()]
            self.assertEqual([x["sequence"] for x in seen], sequence)

            # Filters.
            self.assertEqual(self.lines(cluster, job, "--tail", "3"), every[-3:])
            rank = self.lines(cluster, job, "--rank", "1")
            self.assertTrue(rank)
            self.assertEqual({x["rank"] for x in rank}, {1})
            self.assertEqual(self.lines(cluster, job, "--packer", "nobody"), [])
            self.assertEqual(self.lines(cluster, job, "--since", "0"), [])
            self.assertEqual(self.lines(cluster, job, "--since", "1h"), every)
            text = cluster.navitctl("logs", job, "--tail", "1").stdout
            self.assertIn(every[-1]["message"], text)
            self.assertEqual(cluster.navitctl("logs", "nosuch", check=False).returncode, 3)
            self.assertEqual(cluster.navitctl("logs", job, "--tail", "x", check=False).returncode, 2)

            # Every line that the coordinator writes itself is JSON with the same fields.
            own = [json.loads(line) for line in cluster.coordinator.log_path.read_text().splitlines()]
            about = [x for x in own if x.get("job") == job]
            self.assertTrue(about)
            self.assertLessEqual(
                {"time", "level", "role", "worker", "job", "src", "msg"}, set(about[0])
            )

            cluster.navitctl("delete", job)
            self.assertEqual(cluster.navitctl("logs", job, check=False).returncode, 3)
            self.assertEqual(list((folder / "coordinator.db-logs").iterdir()), [])


if __name__ == "__main__":
    unittest.main()
