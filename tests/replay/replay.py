"""Trains on the packs that replay_main.cc left, in PyTorch and with none of navit's code.

    replay.py FOLDER [--every N]

reads FOLDER/start and FOLDER/packs.bin, trains the same steps and writes FOLDER/pytorch.csv (step,
loss), comparing with FOLDER/navit.csv on the way. Towers and losses are those of
tests/parity/model.py, one segment after the other, in float32.
"""
import argparse
import csv
import json
import math
import pathlib
import struct
import sys

import torch

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "parity"))
import model  # noqa: E402


def read_safetensors(path):
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        values = torch.frombuffer(bytearray(data[begin:end]), dtype=torch.float32)
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def packed(data):
    values, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        values.append(value)
    return values


def fields(data):
    """Number -> value of a serialised message: whole numbers, or bytes."""
    out, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            out[key >> 3], at = varint(data, at)
        else:
            length, at = varint(data, at)
            out[key >> 3] = data[at : at + length]
            at += length
    return out


def uint16(data):
    return torch.tensor(struct.unpack(f"<{len(data) // 2}H", data))


def examples(payload):
    """The examples of a navit.v1.Pack (proto/pack.proto), holes left out."""
    pack = fields(payload)
    side = pack[2] * pack[2] * 3
    image_tokens, rows, columns, text_tokens = (packed(pack.get(n, b"")) for n in (4, 5, 6, 9))
    hashes = struct.unpack(f"<{len(image_tokens)}Q", pack[11])
    patches = torch.frombuffer(bytearray(pack[7]), dtype=torch.uint8).reshape(-1, side)
    positions = uint16(pack[8]).reshape(-1, 2)
    text = uint16(pack[10])
    out, image_at, text_at = [], 0, 0
    for i, tokens in enumerate(image_tokens):
        if tokens == 0:
            continue
        out.append({"grid": (rows[i], columns[i]), "hash": hashes[i],
                    "patches": patches[image_at : image_at + tokens],
                    "positions": positions[image_at : image_at + tokens],
                    "text": text[text_at : text_at + text_tokens[i]]})
        image_at += tokens
        text_at += text_tokens[i]
    return out


def steps(path):
    """The examples of each step in turn."""
    with open(path, "rb") as file:
        step, batch = 1, []
        while header := file.read(8):
            number, length = struct.unpack("<II", header)
            if number != step:
                yield batch
                step, batch = number, []
            batch += examples(file.read(length))
        yield batch


KINDS = {"factorized_sum": "sum", "factorized_product": "product", "factorized_stack": "stack"}
COORDINATES = {"aspect_fractional": "aspect"}


def tower(spec):
    """model.image or model.text of a job file in the words of model.py."""
    encoder = spec["encoder"]
    return {"width": spec["size"]["width"], "depth": spec["size"]["depth"],
            "heads": spec["size"]["heads"], "norm": encoder["norm"], "eps": encoder["eps"],
            "gelu": encoder["gelu"], "qk_norm": encoder["qk_norm"], "pooling": spec["pooling"],
            "causal": spec.get("causal", False), "prefix": spec.get("prefix_tokens", 0),
            "norm_pre": encoder["norm_before_blocks"], "norm_after": encoder["norm_after_pooling"],
            "layer_scale": encoder["layer_scale"] > 0}


def configuration(job):
    image = job["model"]["image"]
    kind, coordinates = image["position_embedding"], image["position_coordinates"]
    return {"image": tower(image), "text": tower(job["model"]["text"]),
            "position": KINDS.get(kind, kind),
            "coordinates": COORDINATES.get(coordinates, coordinates),
            "table_rows": image["position_rows"]}


def is_matrix(name):
    return name.endswith(".weight")


def learning_rate(job, step, total):
    """Warm-up, then cosine (worker/model/schedule.h)."""
    schedule = job["schedule"]
    assert schedule["kind"] == "cosine", schedule
    progress, warm = step / total, schedule["warmup_fraction"]
    if progress < warm:
        return job["optimizer"]["lr"] * progress / warm
    return job["optimizer"]["lr"] * (1 + math.cos(math.pi * (progress - warm) / (1 - warm))) / 2


def loss_of(parameters, batch, config, job):
    images = model.image_embeddings(parameters, batch, config)
    texts = model.text_embeddings(parameters, batch, config)
    function = model.sigmoid_loss if job["loss"]["kind"] == "sigmoid" else model.softmax_loss
    return function(parameters, images, texts, [e["hash"] for e in batch],
                    job["loss"]["equal_captions"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--every", type=int, default=10, help="print every so many steps")
    arguments = parser.parse_args()
    # The segments are small: more threads would wait for each other.
    torch.set_num_threads(1)
    folder = arguments.folder
    job = json.loads((folder / "start" / "config.json").read_text())
    config = configuration(job)
    parameters = {name: tensor.requires_grad_()
                  for name, tensor in read_safetensors(folder / "start/model.safetensors").items()}
    ours = list(csv.DictReader(open(folder / "navit.csv")))
    optimizer = job["optimizer"]
    groups = [{"params": [t for n, t in parameters.items() if is_matrix(n)],
               "weight_decay": optimizer["weight_decay"]},
              {"params": [t for n, t in parameters.items() if not is_matrix(n)],
               "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, betas=tuple(optimizer["betas"]), eps=optimizer["eps"])
    worst = 0.0
    with open(folder / "pytorch.csv", "w") as out:
        out.write("step,loss\n")
        for step, batch in enumerate(steps(folder / "packs.bin"), 1):
            adamw.zero_grad()
            loss = loss_of(parameters, batch, config, job)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(list(parameters.values()), optimizer["clip_norm"])
            for group in adamw.param_groups:
                group["lr"] = learning_rate(job, step, len(ours))
            adamw.step()
            with torch.no_grad():
                parameters["loss.logit_scale"].clamp_(max=math.log(100))
            value, wanted = loss.item(), float(ours[step - 1]["loss"])
            out.write(f"{step},{value:.9g}\n")
            worst = max(worst, abs(value - wanted) / wanted)
            if step % arguments.every == 0 or step == len(ours):
                print(f"step {step}: PyTorch {value:.6f}, navit {wanted:.6f}, "
                      f"largest difference so far {worst:.1e}", flush=True)
    return 0 if worst <= 0.01 else 1


if __name__ == "__main__":
    sys.exit(main())
