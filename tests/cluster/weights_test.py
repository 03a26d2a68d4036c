"""What becomes of a trained model: exports, embeddings, other jobs that start from it."""
import importlib.util
import json
import os
import pathlib
import subprocess
import unittest

import numpy as np

import data
from cluster import ROOT, Cluster, program

FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])
BUDGET = 32
# A tower that timm has too.
POSITIONS = {
    "position_embedding": "joint",
    "position_coordinates": "fractional",
    "position_interpolation": "cubic_antialias",
    "position_rows": 5,
}


def job(name, dataset, **changes):
    spec = data.tiny_job(
        name,
        dataset,
        FOLDER / "checkpoints",
        workers={"trainers": {"min": 1, "max": 1}},
        evaluation={"token_budgets": [BUDGET]},
        **changes,
    )
    spec["model"]["image"].update(POSITIONS)
    return spec


def embed(*arguments, stdin=None):
    done = subprocess.run(
        [program("embed", "navit-embed")] + [str(a) for a in arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def rows(text):
    return np.array([json.loads(line)["embedding"] for line in text.splitlines()], dtype=np.float32)


def recall(queries, targets, rank):
    """Share of queries whose own target is among the `rank` nearest."""
    similarity = queries @ targets.T
    own = np.diag(similarity)[:, None]
    return float(((similarity > own).sum(1) < rank).mean())


class WeightsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(FOLDER / "cluster")
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        cls.cluster.start_coordinator()
        cls.cluster.start_packers(1)
        cls.cluster.start_trainers(1)
        cls.dataset = data.make_dataset(FOLDER / "data")
        cls.first = cls.train(job("first", cls.dataset))
        cls.export = FOLDER / "export"
        cls.cluster.navitctl("export", cls.first, str(cls.export))
        cls.timm = FOLDER / "timm"
        cls.cluster.navitctl("export", cls.first, str(cls.timm), "--format=timm")
        cls.images, cls.captions = [], []
        (FOLDER / "images").mkdir()
        for key, members in data.make_samples(264)[240:]:
            path = FOLDER / "images" / (key + ".png")
            path.write_bytes(members["png"])
            cls.images.append(str(path))
            cls.captions.append(members["txt"].decode())

    @classmethod
    def train(cls, spec):
        """The folder of its last checkpoint."""
        name = cls.cluster.submit(spec)
        cls.cluster.wait(name, "succeeded")
        return cls.cluster.json("get", name)["last_checkpoint"]

    def scores(self, name):
        scores = self.cluster.json("get", name)["scores"]["scores"]
        return {s["metric"]: s["value"] for s in scores if not s["metric"].endswith("/chance")}

    def features(self, folder):
        code, out, _ = embed("--model", folder, "--features", *self.images)
        self.assertEqual(code, 0)
        return out

    def test_an_export_is_whole_and_says_what_it_is(self):
        self.assertEqual(
            sorted(path.name for path in self.export.iterdir()),
            ["README.md", "config.json", "model.safetensors", "preprocess.json", "scores.json"],
        )
        config = json.loads((self.export / "config.json").read_text())
        self.assertEqual(config["model"]["image"]["position_rows"], 5)
        self.assertNotIn("train_for", config)
        self.assertEqual(json.loads((self.export / "preprocess.json").read_text())["patch_size"], 8)
        card = (self.export / "README.md").read_text()
        for part in ("# first\n", "12 steps of a job of 12 steps", self.dataset[0]):
            self.assertIn(part, card)

    def test_embeddings_are_those_of_the_evaluation(self):
        code, images, err = embed("--model", self.first, *self.images)
        self.assertEqual(code, 0, err)
        code, texts, err = embed("--model", self.first, "--captions", stdin="\n".join(self.captions))
        self.assertEqual(code, 0, err)
        scores = self.scores("first")
        for rank in (1, 5, 10):
            for name, queries, targets in (
                ("image_to_text", images, texts),
                ("text_to_image", texts, images),
            ):
                wanted = scores["heldout/{}/r@{}".format(name, rank)]
                self.assertAlmostEqual(recall(rows(queries), rows(targets), rank), wanted, places=6)
        # From the export, in other batches, as numpy's file: the same bits.
        output = FOLDER / "images.npy"
        code, _, err = embed("--model", self.export, "--format=npy", "--output", output,
                             "--batch_tokens=1", stdin="\n".join(self.images))
        self.assertEqual(code, 0, err)
        np.testing.assert_array_equal(np.load(output), rows(images))

    def test_what_cannot_be_used_is_named_and_keeps_its_place(self):
        bad = FOLDER / "bad.png"
        bad.write_bytes(b"no image")
        code, out, err = embed("--model", self.export, self.images[0], bad, self.images[1])
        self.assertEqual(code, 1)
        self.assertIn("bad.png: is no JPEG, PNG or WebP image", err)
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(["error" in line for line in lines], [False, True, False])
        code, _, err = embed("--model", FOLDER / "nowhere", self.images[0])
        self.assertEqual(code, 2)
        self.assertIn("nowhere/config.json", err)

    def test_the_numpy_example_gives_the_same(self):
        path = ROOT / "examples" / "embed_with_numpy.py"
        spec = importlib.util.spec_from_file_location("example", path)
        example = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(example)
        model = example.Model.load(self.export)
        _, texts, _ = embed("--model", self.export, "--captions", stdin="\n".join(self.captions))
        ours = [model.embed_caption(caption) for caption in self.captions]
        np.testing.assert_allclose(ours, rows(texts), atol=1e-5)
        # 24 x 56 pixels are 3 x 7 patches; one colour with a diagonal, as data.png draws it.
        picture = FOLDER / "picture.png"
        picture.write_bytes(data.png(56, 24, (200, 30, 90)))
        y, x = np.mgrid[:24, :56]
        colour = np.array([200, 30, 90])
        pixels = np.where(((x + y) % 7 == 0)[..., None], 255 - colour, colour).astype(np.uint8)
        _, image, _ = embed("--model", self.export, "--token_budget=21", picture)
        np.testing.assert_allclose(model.embed_image(pixels), rows(image)[0], atol=1e-5)

    def test_a_job_starts_from_another(self):
        self.train(job("second", self.dataset, init_from={"job": "first"}, optimizer={"lr": 0},
                       train_for={"steps": 1}))
        self.assertEqual(self.scores("second"), self.scores("first"))
        spec = self.cluster.json("get", "second")["spec"]
        self.assertEqual(spec["init_from"]["checkpoint"], self.first)

    def test_a_tower_with_timms_names_stays_as_it_is_when_frozen(self):
        mean = [0.4, 0.5, 0.6]
        config = json.loads((self.timm / "config.json").read_text())
        config["pretrained_cfg"]["mean"] = mean
        (self.timm / "config.json").write_text(json.dumps(config))
        frozen = job(
            "lit",
            self.dataset,
            init_from={"image": str(self.timm / "model.safetensors"), "names": "timm"},
            optimizer={"groups": [{"match": "image.projection.*"},
                                  {"match": "image.*", "freeze": True}]},
        )
        trained = self.train(frozen)
        spec = self.cluster.json("get", "lit")["spec"]
        np.testing.assert_allclose(spec["preprocess"]["mean"], mean, rtol=1e-6)
        # The same pixels mean another thing with another mean: compare the weights.
        example = np.fromfile(self.timm / "model.safetensors", dtype=np.uint8).tobytes()
        back = FOLDER / "timm-again"
        self.cluster.navitctl("export", trained, str(back), "--format=timm")
        self.assertEqual((back / "model.safetensors").read_bytes(), example)
        self.assertNotEqual(self.features(trained), self.features(self.first))

    def test_weights_that_do_not_fit_fail_the_job_by_name(self):
        spec = job("wrong", self.dataset,
                   init_from={"image": str(self.timm / "model.safetensors"), "names": "timm"})
        spec["model"]["image"]["position_rows"] = 6
        self.cluster.submit(spec)
        self.cluster.wait("wrong", "failed")
        self.assertIn("tensor embeds.pos_embed has shape [1, 5, 5, 32], the model's is [1, 6, 6, 32]",
                      self.cluster.json("get", "wrong")["reason"])
        done = self.cluster.navitctl("submit", "-", check=False, stdin=json.dumps(
            job("absent", self.dataset, init_from={"job": "nobody"})))
        self.assertEqual(done.returncode, 2)
        self.assertIn("init_from.job", done.stderr)


if __name__ == "__main__":
    unittest.main()
