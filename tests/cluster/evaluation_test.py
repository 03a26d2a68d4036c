"""Labels, tasks of evaluation and EvaluationJobs with a whole cluster: a contrastive job with zero-shot
and linear probe, a classifier, and both checkpoints evaluated by jobs of their own."""
import csv
import io
import json
import os
import pathlib
import random
import subprocess
import unittest

import numpy as np

import cluster
import data

COLOURS = {"red": (220, 30, 30), "green": (30, 220, 30), "blue": (30, 30, 220)}
BUDGETS = [16, 32]


def labelled(count, seed):
    """Pictures of three colours; every 20th has no label."""
    draw = random.Random(seed)
    samples = []
    for i in range(count):
        label = draw.randrange(3)
        name = list(COLOURS)[label]
        members = {
            "png": data.png(draw.randint(16, 60), draw.randint(16, 60), COLOURS[name]),
            "txt": "a {} picture".format(name).encode(),
        }
        if i % 20 != 7:
            members["cls"] = str(label).encode()
        samples.append(("{:06d}".format(i), members))
    return samples


def safetensors(folder, name="model"):
    """The tensors of a file by name."""
    data = (folder / (name + ".safetensors")).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__")
    body = data[8 + size :]
    return {
        name: np.frombuffer(body[slice(*entry["data_offsets"])], "<f4").reshape(entry["shape"])
        for name, entry in header.items()
    }


def embed(*arguments):
    return subprocess.run(
        [cluster.program("embed", "navit-embed")] + [str(a) for a in arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


class EvaluationTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(os.environ["TEST_TMPDIR"]) / "evaluation"
        data.write_shard(cls.folder / "train-0.tar", labelled(240, seed=1))
        data.write_shard(cls.folder / "heldout-0.tar", labelled(60, seed=2))
        (cls.folder / "names.txt").write_text("red\ngreen\nblue\n")
        cls.cluster = cluster.Cluster(cls.folder / "run")
        cls.cluster.start_coordinator()
        cls.cluster.start_packers(1)
        cls.cluster.start_trainers(2)

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(None, None, None)

    def job(self, name, evaluation, **changes):
        shards = (str(self.folder / "train-0.tar"), str(self.folder / "heldout-0.tar"))
        spec = data.tiny_job(name, shards, self.folder / "checkpoints", steps=30, **changes)
        for dataset in spec["data"]["train"] + spec["data"]["validation"]:
            dataset["labels"] = {"field": "cls"}
        spec["model"]["classes"] = 3
        spec["optimizer"] = {"lr": 5e-3, "ema_decay": 0.5}
        spec["evaluation"] = dict({"token_budgets": BUDGETS}, **evaluation)
        spec["budgets"] = {"bad_sample_fraction": 0.2}
        return spec

    def scores(self, job):
        """Of the job's newest evaluation: {(metric, token budget): value}."""
        found = self.cluster.json("get", job)["scores"]["scores"]
        return {(s["metric"], s["token_budget"]): s["value"] for s in found}

    def evaluate(self, trained, name, evaluation, train=True):
        """Runs an EvaluationJob on the last checkpoint of `trained`; returns its scores."""
        checkpoint = self.cluster.json("get", trained)["last_checkpoint"]
        spec = self.job(name, evaluation)
        job = {key: spec[key] for key in ("name", "data", "workers", "evaluation", "timeouts")}
        job["kind"] = "EvaluationJob"
        job["model"] = {"classes": 3}
        if not train:
            del job["data"]["train"]
        path = self.folder / (name + ".json")
        path.write_text(json.dumps(job))
        printed = self.cluster.json("evaluate", checkpoint, str(path))
        beside = json.loads(pathlib.Path(checkpoint + "." + name + ".json").read_text())
        self.assertEqual(beside["scores"], printed)
        self.assertEqual(beside["step"], 30)
        self.assertEqual(self.cluster.json("get", name)["state"], "succeeded")
        return self.scores(name)

    def export(self, checkpoint, name, *arguments):
        folder = self.folder / "exports" / name
        self.cluster.navitctl("export", str(checkpoint), str(folder), *arguments)
        return folder

    def accuracy_of_export(self, folder):
        """On the held-out images, by navit-embed and the classifier's weights, at 32 tokens."""
        images, labels = [], []
        for key, members in labelled(60, seed=2):
            if "cls" not in members:
                continue
            images.append(self.folder / (key + ".png"))
            images[-1].write_bytes(members["png"])
            labels.append(int(members["cls"]))
        done = embed("--model", folder, "--features", "--token_budget=32", *images)
        self.assertEqual(done.returncode, 0, done.stderr)
        features = np.array([json.loads(line)["embedding"] for line in done.stdout.splitlines()])
        tensors = safetensors(folder)
        logits = features @ tensors["image.classifier.weight"].T + tensors["image.classifier.bias"]
        return float((logits.argmax(1) == labels).mean())

    def check_history(self, job, scores):
        """Every score stands in the job's history, at its last step."""
        text = self.cluster.navitctl("history", job, "-o", "csv").stdout
        last = list(csv.DictReader(io.StringIO(text)))[-1]
        for (metric, budget), value in scores.items():
            self.assertAlmostEqual(float(last["{}@{}".format(metric, budget)]), value, places=6)

    def check_equal(self, scores, others):
        """To the rounding of sums over ranks."""
        self.assertEqual(scores.keys(), others.keys())
        for name, value in scores.items():
            self.assertAlmostEqual(value, others[name], places=9, msg=name)

    def check_accuracy(self, scores, task, least):
        for budget in BUDGETS:
            name = "heldout/" + task
            self.assertGreaterEqual(scores[(name + "/top@1", budget)], least, scores)
            self.assertEqual(scores[(name + "/top@5", budget)], 1)
            self.assertAlmostEqual(scores[(name + "/top@1/chance", budget)], 1 / 3)
            self.assertTrue(0 <= scores[(name + "/ece", budget)] <= 1)

    def test_contrastive_training_is_evaluated_by_zero_shot_and_probe(self):
        evaluation = {
            "tasks": ["retrieval", "zero_shot", "linear_probe"],
            "zero_shot": {
                "class_names_file": str(self.folder / "names.txt"),
                "templates": ["a {} picture", "{}"],
            },
            "linear_probe": {"samples": 100},
        }
        spec = self.job("pairs", evaluation)
        spec["loss"] = {"equal_captions": "positives"}
        self.cluster.submit(spec)
        self.cluster.wait("pairs", "succeeded")
        scores = self.scores("pairs")
        self.check_accuracy(scores, "zero_shot", 0.6)
        self.check_accuracy(scores, "linear_probe", 0.8)
        self.assertIn(("heldout/image_to_text/r@5", 32), scores)
        self.assertIn("heldout/zero_shot/top@1 @16", self.cluster.navitctl("describe", "pairs").stdout)
        self.assertIn('metric="heldout/zero_shot/ece"', self.cluster.coordinator.metrics())
        checkpoint = pathlib.Path(self.cluster.json("get", "pairs")["last_checkpoint"])
        self.assertTrue((checkpoint / "model_ema.safetensors").exists())
        # The same weights on the same packs by the same ranks.
        self.check_equal(self.evaluate("pairs", "again", evaluation), scores)
        self.check_history("pairs", scores)
        # What was evaluated is what is given away, unless the other weights are asked for.
        average = self.export(checkpoint, "average")
        self.assertEqual(
            safetensors(average)["image.projection.weight"].tobytes(),
            safetensors(checkpoint, "model_ema")["image.projection.weight"].tobytes(),
        )
        trained = self.export(checkpoint, "trained", "--weights=trained")
        self.assertEqual(
            safetensors(trained)["image.projection.weight"].tobytes(),
            safetensors(checkpoint)["image.projection.weight"].tobytes(),
        )
        self.assertIn("moving average", (average / "README.md").read_text())
        self.assertNotIn("moving average", (trained / "README.md").read_text())

    def test_a_classifier_learns_from_labels_alone(self):
        spec = self.job("classes", {}, loss={"kind": "sigmoid_classification"})
        del spec["model"]["text"]
        self.cluster.submit(spec)
        self.cluster.wait("classes", "succeeded")
        scores = self.scores("classes")
        self.check_accuracy(scores, "classification", 0.9)
        self.check_equal(self.evaluate("classes", "without-train", {}, train=False), scores)
        self.check_history("classes", scores)
        job = self.cluster.json("get", "classes")
        self.assertGreater(job["holes"], 0)
        folder = self.export(pathlib.Path(job["last_checkpoint"]), "classifier")
        card = (folder / "README.md").read_text()
        self.assertIn("sorts images into 3 classes", card)
        accuracy = scores[("heldout/classification/top@1", 32)]
        self.assertIn("| heldout/classification/top@1 | 32 | {:.4f} |".format(accuracy), card)
        self.assertAlmostEqual(self.accuracy_of_export(folder), accuracy, places=6)
        done = embed("--model", folder, "image.png")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--features gives its features", done.stderr)


if __name__ == "__main__":
    unittest.main()
