"""Holds towers of full size against timm, both ways.

  python3 -m venv VENV && VENV/bin/pip install -r tests/parity/timm_requirements.txt
  bazel build //tests/parity:start_model //embed:navit-embed //cli:navitctl
  VENV/bin/python tests/parity/compare_with_timm.py [--trained CHECKPOINT]

Towers with random weights as timm saves them, loaded here: the pooled features of three images of
different aspect ratio. --trained: a checkpoint's (or export's) image tower, exported and loaded in
timm: likewise. Prints the largest difference over the largest feature; exit 1 above 1e-4.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import timm
from PIL import Image

import timm_towers

ROOT = pathlib.Path(__file__).absolute().parents[2]
TOWERS = ["naflexvit_base_patch16_siglip", "naflexvit_base_patch16_gap",
          "naflexvit_base_patch16_map", "vit_base_patch16_224"]
# Rows and columns of patches.
GRIDS = [(14, 14), (8, 20), (24, 9)]
LIMIT = 1e-4


def run(program, *arguments):
    command = [str(ROOT / "bazel-bin" / program)] + [str(a) for a in arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def images(folder, patch):
    """(pixels, file, patches) of three images."""
    draw = np.random.default_rng(1)
    for rows, columns in GRIDS:
        # Smooth, as photographs are.
        small = draw.integers(0, 256, (rows // 2, columns // 2, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((columns * patch, rows * patch), Image.BICUBIC)
        path = folder / f"{rows}x{columns}.png"
        picture.save(path)
        yield np.array(picture), path, rows * columns


def compare(name, model, folder, work):
    """Whether navit's features of `folder` are those of `model`."""
    patch = json.loads((folder / "config.json").read_text())["model"]["image"]["patch_size"]
    good = True
    for pixels, path, patches in images(work, patch):
        line = run("embed/navit-embed", "--model", folder, "--features", "--token_budget", patches,
                   path)
        ours = np.array(json.loads(line)["embedding"])
        theirs = timm_towers.features(model, pixels)
        error = np.abs(ours - theirs).max() / np.abs(theirs).max()
        good &= error <= LIMIT
        print(f"{name} {path.stem}: {error:.1e}", flush=True)
    return good


def public(name, work):
    folder = work / name
    folder.mkdir()
    model = timm_towers.create(name)
    timm_towers.randomize(model, 1)
    timm_towers.save(model, name, {}, folder / "model.safetensors", folder / "config.json")
    rows = 14 if name.startswith("vit_") else 16
    job = {"name": "start",
           "init_from": {"image": str(folder / "model.safetensors"), "names": "timm"},
           "model": {"image": timm_towers.image_spec(name, 768, 12, 12, 16, rows),
                     "text": {"preset": "mu"}},
           "preprocess": {key: list(model.pretrained_cfg[key]) for key in ("mean", "std")}}
    (folder / "job.json").write_text(json.dumps(job))
    run("tests/parity/start_model", folder / "job.json", folder / "navit")
    return compare(name, model, folder / "navit", work)


def trained(checkpoint, work):
    run("cli/navitctl", "export", checkpoint, work / "trained", "--format=timm")
    model = timm.create_model(f"local-dir:{work / 'trained'}", pretrained=True).eval()
    return compare("trained, in timm", model, checkpoint, work)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--trained", type=pathlib.Path)
    arguments = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        if arguments.trained:
            good &= trained(arguments.trained.absolute(), work)
        for name in TOWERS:
            good &= public(name, work)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
