#!/usr/bin/env python3
"""Loads a navit checkpoint, or what navitctl export made of one, and embeds images and captions, with nothing but numpy.

    examples/embed_with_numpy.py CHECKPOINT --pixels image.npy     uint8 [height, width, 3], RGB
    examples/embed_with_numpy.py CHECKPOINT --caption "a red boat"

prints the embedding, of unit length, as JSON; with a classifier's checkpoint the logits. The image is
cut into whole patches from its upper left corner: resize it before to the size that it is to be seen
at. Captions are read as bytes; for a job with a SentencePiece model give token ids: --tokens 5,17,3.
It is written to be read: one segment at a time, in float64, for every kind of tower that a job file
can describe.
"""
import argparse
import json
import math
import pathlib
import struct

import numpy as np

SQRT_2_OVER_PI = math.sqrt(2 / math.pi)


def read_safetensors(path):
    """Name -> array. The format: 8 bytes with the length of a JSON header, the header, the data."""
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        values = np.frombuffer(data[begin:end], dtype="<f4").astype(np.float64)
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def erf(x):
    return np.vectorize(math.erf, otypes=[float])(x)


class Tower:
    """What both towers share: `spec` is model.image or model.text of the job file."""

    def __init__(self, weights, name, spec):
        self.w, self.name = weights, name
        self.heads = spec["size"]["heads"]
        self.depth = spec["size"]["depth"]
        self.encoder = spec.get("encoder", {})
        self.pooling = spec.get("pooling", "map")
        self.causal = spec.get("causal", False)
        self.prefix = spec.get("prefix_tokens", 0)

    def get(self, name, default=None):
        return self.w.get(f"{self.name}.{name}", default)

    def linear(self, name, x):
        return x @ self.get(name + ".weight").T + self.get(name + ".bias", 0)

    def norm(self, name, x):
        eps = self.encoder.get("eps", 1e-6)
        if self.encoder.get("norm") == "layer":
            x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + eps)
        return x * self.get(name + ".gain") + self.get(name + ".bias", 0)

    def mlp(self, name, x):
        x = self.linear(name + ".fc1", x)
        if self.encoder.get("gelu") == "erf":
            x = x / 2 * (1 + erf(x / math.sqrt(2)))
        else:
            x = x / 2 * (1 + np.tanh(SQRT_2_OVER_PI * (x + 0.044715 * x**3)))
        return self.linear(name + ".fc2", x)

    def attend(self, q, k, v):
        """q [H, Q, d], k and v [H, T, d] to [Q, H d]."""
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
        if self.causal and scores.shape[1] > 1:
            scores = scores + np.triu(np.full(scores.shape[1:], -np.inf), 1)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        out = scores / scores.sum(-1, keepdims=True) @ v
        return out.transpose(1, 0, 2).reshape(q.shape[1], -1)

    def split(self, x, parts):
        """[T, parts D] to `parts` arrays [H, T, D / H]."""
        return x.reshape(len(x), parts, self.heads, -1).transpose(1, 2, 0, 3)

    def attention(self, block, x, angles):
        q, k, v = self.split(self.linear(block + ".qkv", x), 3)
        if self.get(block + ".q_norm.gain") is not None:
            q = q / np.sqrt((q * q).mean(-1, keepdims=True) + 1e-6) * self.get(block + ".q_norm.gain")
            k = k / np.sqrt((k * k).mean(-1, keepdims=True) + 1e-6) * self.get(block + ".k_norm.gain")
        if angles is not None:
            q, k = turn(q, angles), turn(k, angles)
        return self.linear(block + ".proj", self.attend(q, k, v))

    def pool(self, x):
        if self.pooling == "token":
            return x[0] if self.prefix else x[-1]
        x = x[self.prefix :]
        if self.pooling == "mean":
            return x.mean(0)
        if self.pooling == "max":
            return x.max(0)
        (query,) = self.split(self.linear("pool.q", self.get("pool.probe")[None]), 1)
        k, v = self.split(self.linear("pool.kv", x), 2)
        y = self.linear("pool.proj", self.attend(query, k, v))[0]
        return y + self.mlp("pool.mlp", self.norm("pool.norm", y))

    def embed(self, x, angles=None):
        """Tokens of one segment [T, D] to its embedding, or to a classifier's logits."""
        if self.prefix:
            x = np.concatenate([self.get("prefix"), x])
            if angles is not None:
                angles = np.concatenate([np.zeros((self.prefix, angles.shape[1])), angles])
        if self.encoder.get("norm_before_blocks"):
            x = self.norm("norm_pre", x)
        for layer in range(self.depth):
            block = f"blocks.{layer}"
            branch = self.attention(block + ".attn", self.norm(block + ".norm1", x), angles)
            x = x + branch * self.get(block + ".scale1.gain", 1)
            branch = self.mlp(block + ".mlp", self.norm(block + ".norm2", x))
            x = x + branch * self.get(block + ".scale2.gain", 1)
        after = self.encoder.get("norm_after_pooling")
        features = self.norm("norm", self.pool(x)) if after else self.pool(self.norm("norm", x))
        if self.get("classifier.weight") is not None:
            return self.linear("classifier", features)
        embedding = self.linear("projection", features)
        return embedding / max(np.linalg.norm(embedding), 1e-6)


def turn(x, angles):
    """RoPE: channel c of a head turns with channel c + d / 2."""
    a, b = np.split(x, 2, -1)
    return np.concatenate([a * np.cos(angles) - b * np.sin(angles),
                           b * np.cos(angles) + a * np.sin(angles)], -1)


def waves(u, quarter):
    omega = 10000.0 ** (-np.arange(quarter) / quarter)
    return np.concatenate([u[:, :1] * omega, u[:, 1:] * omega], -1)


def resample(kind, rows, side):
    """Weights [side, rows] that resize a table's axis: a filter widened where the table is reduced."""
    centres = (np.arange(side)[:, None] + 0.5) * rows / side - 0.5
    x = np.abs(np.arange(rows) - centres) / max(1, rows / side)
    if kind == "linear_antialias":
        weights = np.maximum(0, 1 - x)
    else:
        outer = np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0)
        weights = np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, outer)
    return weights / weights.sum(1, keepdims=True)


def rows_at(table, u):
    """Rows of `table` at real places `u`, linearly interpolated."""
    low = np.floor(u).astype(int)
    weight = (u - low).reshape((-1,) + (1,) * (table.ndim - 1))
    return table[low] * (1 - weight) + table[np.minimum(low + 1, len(table) - 1)] * weight


class Model:
    def __init__(self, weights, spec):
        """`weights` by name, `spec` the job file as in a checkpoint's config.json."""
        self.w, self.spec = weights, spec
        self.image = Tower(weights, "image", spec["model"]["image"])
        if "text" in spec["model"]:
            self.text = Tower(weights, "text", spec["model"]["text"])

    @classmethod
    def load(cls, folder):
        folder = pathlib.Path(folder)
        return cls(read_safetensors(folder / "model.safetensors"),
                   json.loads((folder / "config.json").read_text()))

    def position(self, places, grid):
        """What is added to the tokens, and the angles by which q and k turn."""
        image = self.spec["model"]["image"]
        kind = image.get("position_embedding", "factorized_sum")
        coordinates = image.get("position_coordinates", "absolute")
        u = places.astype(np.float64)
        if coordinates != "absolute":
            rows = image["position_rows"]
            sides = np.array(grid if coordinates == "fractional" else [max(grid)] * 2)
            interpolation = image.get("position_interpolation", "linear")
            if interpolation != "linear":
                by_row, by_column = (resample(interpolation, rows, side)[places[:, axis]]
                                     for axis, side in enumerate(sides))
                table = self.w["image.position.table"]
                return np.einsum("tr,tc,rcd->td", by_row, by_column, table), None
            u = np.clip((u + 0.5) * rows / sides - 0.5, 0, rows - 1)
        if kind == "rope":
            return 0, waves(u, image["size"]["width"] // image["size"]["heads"] // 4)
        if kind == "sinusoidal":
            phase = waves(u, image["size"]["width"] // 4)
            return np.concatenate([np.sin(phase), np.cos(phase)], -1), None
        if kind == "fourier":
            phase = 2 * math.pi * u @ self.w["image.position.frequencies"].T
            return np.concatenate([np.sin(phase), np.cos(phase)], -1), None
        if kind == "joint":
            by_row = rows_at(self.w["image.position.table"], u[:, 0])  # [T, R, D]
            return np.stack([rows_at(t, v[None])[0] for t, v in zip(by_row, u[:, 1])]), None
        row = rows_at(self.w["image.position.row"], u[:, 0])
        column = rows_at(self.w["image.position.column"], u[:, 1])
        if kind == "factorized_stack":
            return np.concatenate([row, column], -1), None
        return (row * column if kind == "factorized_product" else row + column), None

    def embed_patches(self, patches, places, grid):
        """uint8 [T, patch, patch, 3] (or flat), [T, 2] rows and columns, and the grid's two sides."""
        preprocess = self.spec["preprocess"]
        x = patches.reshape(len(patches), -1, 3) / 255
        x = (x - preprocess["mean"]) / preprocess["std"]
        added, angles = self.position(np.asarray(places), grid)
        x = self.image.linear("patch_embed", x.reshape(len(x), -1)) + added
        return self.image.embed(x, angles)

    def embed_image(self, pixels):
        """uint8 [height, width, 3]."""
        side = self.spec["model"]["image"]["patch_size"]
        rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
        cut = pixels[: rows * side, : columns * side].reshape(rows, side, columns, side, 3)
        places = [(r, c) for r in range(rows) for c in range(columns)]
        return self.embed_patches(cut.transpose(0, 2, 1, 3, 4).reshape(rows * columns, -1), places,
                                  (rows, columns))

    def embed_tokens(self, ids):
        return self.text.embed(self.w["text.token_embed"][ids] + self.w["text.position"][: len(ids)])

    def embed_caption(self, caption):
        """With the byte tokenizer: begin is 0, end 1, a byte b is b + 2; cut at a whole character."""
        room = self.spec["model"]["text"]["max_tokens"] - 2
        text = caption.strip().encode()[:room].decode(errors="ignore").encode()
        return self.embed_tokens([0] + [byte + 2 for byte in text] + [1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("checkpoint", help="a folder like step-00001000-g1, or an export")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--pixels", help="a .npy file, uint8 [height, width, 3]")
    what.add_argument("--caption")
    what.add_argument("--tokens", help="token ids, with commas between")
    arguments = parser.parse_args()
    model = Model.load(arguments.checkpoint)
    if arguments.pixels:
        embedding = model.embed_image(np.load(arguments.pixels))
    elif arguments.tokens:
        embedding = model.embed_tokens([int(token) for token in arguments.tokens.split(",")])
    else:
        embedding = model.embed_caption(arguments.caption)
    print(json.dumps([round(float(value), 7) for value in embedding]))


if __name__ == "__main__":
    main()
