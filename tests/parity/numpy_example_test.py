"""examples/embed_with_numpy.py gives PyTorch's embeddings, which parity_test.cc holds ours against."""
import importlib.util
import pathlib
import unittest

import numpy as np

import cases
import drawn

HERE = pathlib.Path(__file__).parent


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


example = load(HERE.parent.parent / "examples" / "embed_with_numpy.py")
COORDINATES = {"aspect": "aspect_fractional"}
KINDS = {"sum": "factorized_sum", "product": "factorized_product", "stack": "factorized_stack"}


def job(config):
    """A case in the words of a job file."""

    def tower(spec):
        return {"size": {"width": spec["width"], "depth": spec["depth"], "heads": spec["heads"]},
                "pooling": spec["pooling"], "causal": spec["causal"],
                "prefix_tokens": spec["prefix"],
                "encoder": {"norm": spec["norm"], "eps": spec["eps"], "gelu": spec["gelu"],
                            "norm_before_blocks": spec["norm_pre"],
                            "norm_after_pooling": spec["norm_after"]}}

    image = tower(config["image"])
    image["position_embedding"] = KINDS.get(config["position"], config["position"])
    image["position_coordinates"] = COORDINATES.get(config["coordinates"], config["coordinates"])
    image["position_rows"] = config["table_rows"]
    model = {"image": image}
    if not cases.classifies(config):
        model["text"] = tower(config["text"])
    return {"preprocess": {"mean": [0.5] * 3, "std": [0.5] * 3}, "model": model}


class NumpyExampleTest(unittest.TestCase):
    def test_embeddings_are_those_of_pytorch(self):
        values = example.read_safetensors(HERE / "values.safetensors")
        for name, config in cases.CASES.items():
            if name.startswith("training"):
                continue
            weights = {n: drawn.parameter(n, s) for n, s in cases.shapes(config).items()}
            model = example.Model(weights, job(config))
            images, texts = [], []
            for one in cases.batch(0):
                images.append(model.embed_patches(one["patches"], one["positions"], one["grid"]))
                if not cases.classifies(config):
                    texts.append(model.embed_tokens(one["text"]))
            for kind, rows in (("images", images), ("texts", texts)):
                if not rows:
                    continue
                outputs = np.concatenate(rows)
                kept = outputs[:: -(-outputs.size // 64)]
                with self.subTest(f"{name}/{kind}"):
                    np.testing.assert_allclose(kept, values[f"{name}/{kind}"], atol=1e-6, rtol=1e-6)


if __name__ == "__main__":
    unittest.main()
