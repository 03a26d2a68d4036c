"""Writes the folder timm/: small towers as timm saves them, and what timm makes of three images.

  python3 -m venv VENV && VENV/bin/pip install -r timm_requirements.txt
  VENV/bin/python make_timm_values.py timm

timm/NAME/tower.safetensors, config.json: the tower; job.json: the same for a job file;
timm/features.safetensors: NAME/0, NAME/1, NAME/2. The images are drawn (drawn.py), as IMAGES says.
"""
import json
import pathlib
import sys

import numpy as np
from safetensors.numpy import save_file

import drawn
import timm_towers

WIDTH, DEPTH, HEADS, PATCH, ROWS = 16, 2, 2, 4, 5
# Rows and columns of patches: the table's own grid, a wide one that enlarges it, a tall one that
# reduces it.
GRIDS = [(5, 5), (3, 9), (8, 2)]


def image(index):
    rows, columns = GRIDS[index]
    values = drawn.whole(f"timm.image.{index}", rows * columns * PATCH * PATCH * 3, 256)
    return values.astype(np.uint8).reshape(rows * PATCH, columns * PATCH, 3)


def main():
    folder = pathlib.Path(sys.argv[1])
    out = {}
    for seed, name in enumerate(timm_towers.IMAGE):
        arguments = {"embed_dim": WIDTH, "depth": DEPTH, "num_heads": HEADS, "patch_size": PATCH}
        if name.startswith("vit_"):
            arguments["img_size"] = ROWS * PATCH
        else:
            arguments["pos_embed_grid_size"] = [ROWS, ROWS]
        model = timm_towers.create(name, **arguments)
        model.pretrained_cfg["mean"] = (0.48, 0.46, 0.41)
        model.pretrained_cfg["std"] = (0.27, 0.26, 0.28)
        timm_towers.randomize(model, seed)
        here = folder / name
        here.mkdir(parents=True, exist_ok=True)
        timm_towers.save(model, name, arguments, here / "tower.safetensors", here / "config.json")
        job = {"name": "timm",
               "model": {"image": dict(timm_towers.image_spec(
                   name, WIDTH, DEPTH, HEADS, PATCH, ROWS), max_grid=16)},
               "preprocess": {key: list(model.pretrained_cfg[key]) for key in ("mean", "std")}}
        (here / "job.json").write_text(json.dumps(job, indent=1) + "\n")
        for index in range(len(GRIDS)):
            out[f"{name}/{index}"] = timm_towers.features(model, image(index))
    save_file(out, folder / "features.safetensors")


if __name__ == "__main__":
    main()
