"""The cases of parity_test.cc: configurations, shapes of their parameters, batches."""
import copy

import numpy as np

import drawn

PATCH = 4
VOCABULARY = 258
TEXT_POSITIONS = 12
EMBEDDING = 20
GRID = 8  # max_grid
TOWER = {"width": 24, "depth": 2, "mlp": 40, "heads": 2, "norm": "rms", "eps": 1e-6,
         "gelu": "tanh", "qk_norm": True, "attention_bias": False, "causal": False,
         "pooling": "map", "prefix": 0, "norm_pre": False, "norm_after": False,
         "layer_scale": False, "map_bias": False}
BASE = {"image": TOWER, "text": dict(TOWER, width=16, depth=1, mlp=28), "position": "sum",
        "coordinates": "absolute", "table_rows": GRID, "loss": "softmax", "equal": "ignore",
        "patch_bias": True, "smoothing": 0.0}
CLASSES = 7  # of the classification losses
# Grids and caption lengths. Every fifth token is dropped.
GRIDS = [(3, 4), (1, 1), (7, 2), (2, 8), (5, 5)]
LENGTHS = [5, 1, 12, 3, 7]


def with_(**changes):
    config = copy.deepcopy(BASE)
    for key, value in changes.items():
        if isinstance(value, dict):
            config[key].update(value)
        else:
            config[key] = value
    return config


def batch(first):
    """Examples first, first + 1, ...; the third has the caption hash of the first."""
    examples = []
    for i, (grid, length) in enumerate(zip(GRIDS, LENGTHS)):
        name = f"example.{first + i}"
        places = [k for k in range(grid[0] * grid[1]) if k % 5 != 3]
        examples.append({
            "grid": grid,
            "positions": np.array([(k // grid[1], k % grid[1]) for k in places]),
            "patches": drawn.whole(name + ".patches", len(places) * PATCH * PATCH * 3, 256)
            .reshape(len(places), -1),
            "text": drawn.whole(name + ".text", length, VOCABULARY),
            "hash": 1 if i in (0, 2) else 100 + first + i,
            "label": int(drawn.whole(name + ".label", 1, CLASSES)[0])})
    return examples


def classifies(config):
    return config["loss"].endswith("_classification")


def shapes(config):
    """Names and shapes of the parameters that a configuration has."""
    out = {}
    if not classifies(config):
        out["loss.logit_scale"] = (1,)
    if config["loss"] == "sigmoid":
        out["loss.logit_bias"] = (1,)
    for name in ("image",) if classifies(config) else ("text", "image"):
        tower = config[name]
        d, m, h = tower["width"], tower["mlp"], tower["heads"]

        def add_norm(norm):
            out[norm + ".gain"] = (d,)
            if tower["norm"] == "layer":
                out[norm + ".bias"] = (d,)

        def add_mlp(mlp):
            out.update({mlp + ".fc1.weight": (m, d), mlp + ".fc1.bias": (m,),
                        mlp + ".fc2.weight": (d, m), mlp + ".fc2.bias": (d,)})

        if classifies(config):
            out.update({name + ".classifier.weight": (CLASSES, d),
                        name + ".classifier.bias": (CLASSES,)})
        else:
            out[name + ".projection.weight"] = (EMBEDDING, d)
        if tower["pooling"] == "map":
            add_mlp(name + ".pool.mlp")
            add_norm(name + ".pool.norm")
            out.update({name + ".pool.proj.weight": (d, d), name + ".pool.kv.weight": (2 * d, d),
                        name + ".pool.q.weight": (d, d), name + ".pool.probe": (d,)})
            if tower["map_bias"]:
                out.update({name + ".pool.proj.bias": (d,), name + ".pool.kv.bias": (2 * d,),
                            name + ".pool.q.bias": (d,)})
        add_norm(name + ".norm")
        if tower["norm_pre"]:
            add_norm(name + ".norm_pre")
        if tower["prefix"]:
            out[name + ".prefix"] = (tower["prefix"], d)
        for layer in range(tower["depth"]):
            block = f"{name}.blocks.{layer}"
            add_mlp(block + ".mlp")
            add_norm(block + ".norm1")
            add_norm(block + ".norm2")
            out.update({block + ".attn.qkv.weight": (3 * d, d), block + ".attn.proj.weight": (d, d)})
            if tower["layer_scale"]:
                out.update({block + ".scale1.gain": (d,), block + ".scale2.gain": (d,)})
            if tower["attention_bias"]:
                out.update({block + ".attn.qkv.bias": (3 * d,), block + ".attn.proj.bias": (d,)})
            if tower["qk_norm"]:
                out.update({block + ".attn.q_norm.gain": (d // h,),
                            block + ".attn.k_norm.gain": (d // h,)})
    d = config["image"]["width"]
    rows = config["table_rows"]
    if not classifies(config):
        out.update({"text.position": (TEXT_POSITIONS, config["text"]["width"]),
                    "text.token_embed": (VOCABULARY, config["text"]["width"])})
    out["image.patch_embed.weight"] = (d, PATCH * PATCH * 3)
    if config["patch_bias"]:
        out["image.patch_embed.bias"] = (d,)
    if config["position"] in ("sum", "product", "stack"):
        side = d // 2 if config["position"] == "stack" else d
        out.update({"image.position.row": (rows, side), "image.position.column": (rows, side)})
    elif config["position"] == "joint":
        out["image.position.table"] = (rows, rows, d)
    elif config["position"] == "fourier":
        out["image.position.frequencies"] = (d // 2, 2)
    return out


CASES = {
    "default": with_(),
    "product": with_(position="product"),
    "stack": with_(position="stack"),
    "sinusoidal": with_(position="sinusoidal"),
    "fourier": with_(position="fourier"),
    "joint": with_(position="joint"),
    "rope": with_(position="rope"),
    "fractional_sum": with_(coordinates="fractional", table_rows=6),
    "aspect_sum": with_(coordinates="aspect", table_rows=11),
    "fractional_product": with_(position="product", coordinates="fractional"),
    "fractional_joint": with_(position="joint", coordinates="fractional",
                                          table_rows=5),
    "aspect_fourier": with_(position="fourier", coordinates="aspect"),
    "aspect_rope": with_(position="rope", coordinates="aspect",
                                     image={"qk_norm": False}),
    "mean": with_(image={"pooling": "mean"}, text={"pooling": "mean"}),
    "max": with_(image={"pooling": "max"}, text={"pooling": "max"}),
    "parts": with_(image={"qk_norm": False, "attention_bias": True, "gelu": "erf",
                                      "eps": 1e-5},
                               text={"causal": True, "gelu": "erf"}, equal="negatives"),
    "registers": with_(
        image={"norm": "layer", "map_bias": True, "layer_scale": True, "prefix": 3},
        text={"norm": "layer", "map_bias": True, "layer_scale": True}),
    "gap": with_(
        position="rope", image={"pooling": "mean", "norm_after": True, "prefix": 4},
        text={"pooling": "mean", "norm_after": True}),
    "clip": with_(
        patch_bias=False,
        image={"norm": "layer", "norm_pre": True, "pooling": "token", "prefix": 1, "eps": 1e-5},
        text={"norm_pre": True, "pooling": "token", "causal": True}),
    "positives": with_(equal="positives"),
    "sigmoid": with_(loss="sigmoid"),
    "sigmoid_positives": with_(loss="sigmoid", equal="positives"),
    "softmax_classification": with_(loss="softmax_classification"),
    "softmax_smoothed": with_(loss="softmax_classification", smoothing=0.1),
    "sigmoid_classification": with_(loss="sigmoid_classification"),
    "sigmoid_smoothed": with_(loss="sigmoid_classification", smoothing=0.1),
    "training": with_(),
    "training_classification": with_(loss="sigmoid_classification", smoothing=0.1),
}
