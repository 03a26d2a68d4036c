"""One `navit-trainer --devices` is all the trainers of a machine: they train a job together, and end
together when one of them dies; started again, they go on with the job."""
import os
import pathlib
import re
import unittest

from tests.cluster import data
from tests.cluster.cluster import Cluster

FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])
STEPS = 200


def children(launcher):
    """The processes that the launcher has started last, by its log."""
    log = launcher.log_path.read_text()
    return [int(pid) for pid in re.findall(r"started the trainer on cpu as process (\d+)", log)][-2:]


class DevicesTest(unittest.TestCase):
    def check_gone(self, pids):
        for pid in pids:
            self.assertRaises(ProcessLookupError, os.kill, pid, 0)

    def test_trainers_of_a_machine_live_and_end_together(self):
        dataset = data.make_dataset(FOLDER / "data")
        with Cluster(FOLDER / "cluster") as cluster:
            cluster.start_coordinator()
            cluster.start_packers(2)
            launcher = cluster.start_trainer("trainers", ["--devices=cpu,cpu"])

            def submit(name):
                folder = cluster.folder / name
                return cluster.submit(data.tiny_job(name, dataset, folder, steps=STEPS))

            curve = cluster.checked_curve(submit("undisturbed"), STEPS)
            self.assertEqual(
                {w["name"] for w in cluster.json("workers")["workers"] if w["role"] == "trainer"},
                {"trainers-0", "trainers-1"},
            )

            job = submit("disturbed")
            cluster.navitctl("wait", job, "--for=step=7", "--timeout=120")
            first = children(launcher)
            os.kill(first[1], 9)
            self.assertEqual(launcher.popen.wait(timeout=60), 128 + 9)
            self.assertLess(int(cluster.json("get", job)["committed_step"]), STEPS)
            self.assertIn("process {}, was killed by signal 9".format(first[1]), launcher.tail(200))
            self.check_gone(first)

            launcher = cluster.start_trainer("trainers", ["--devices=cpu,cpu"])
            self.assertEqual(cluster.checked_curve(job, STEPS), curve)
            second = children(launcher)
            self.assertFalse(set(first) & set(second))
            self.assertEqual(launcher.terminate(), 0)
            self.check_gone(second)

    def test_a_mistake_names_the_flag(self):
        with Cluster(FOLDER / "mistakes") as cluster:
            cluster.address = "127.0.0.1:1"
            choices = FOLDER / "mistakes" / "choices"
            choices.write_text("# of whom?\n\nchoices\n")
            for arguments, said in (
                (["--devices=cpu,gpu"], '--devices=cpu,gpu: "gpu" is not cpu, cuda or cuda:N'),
                (["--devices=cpu", "--device=cpu"], "--devices and --device exclude each other"),
                (["--devices=cpu,cpu", "--collective_ports=9-9"], "--collective_ports: 9-9 has no port"),
                (["--linear_choices=file"], "--linear_choices is for a trainer on a GPU"),
                (
                    ["--device=cuda", "--linear_choices={}".format(choices)],
                    "--linear_choices: {}:3: does not start with".format(choices),
                ),
            ):
                trainer = cluster.start_trainer("trainer", arguments)
                self.assertEqual(trainer.popen.wait(timeout=60), 2)
                self.assertIn(said, trainer.tail())


if __name__ == "__main__":
    unittest.main()
