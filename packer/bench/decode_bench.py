"""Decode + resize on one core: ours, libjpeg-turbo's scaled decode alone, and two peers.

    bazel build //packer/bench:decode_bench
    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install -r packer/bench/requirements.txt
    /tmp/peers/bin/python packer/bench/decode_bench.py bazel-bin/packer/bench/decode_bench

All methods decode the same JPEGs, from memory, to the same sizes, on one core, one thread, in turns;
each number is the median of the rounds, in milliseconds of CPU time per image.

ours           DecodeImage + ResizeImage, as the packer calls them
limit          libjpeg-turbo to RGB at the scale that ours chooses, no resize, fastest settings
limit_eighths  the same at the least n/8
pillow         Image.draft, then resize with BICUBIC
simplejpeg     decode_jpeg with min_width and min_height, fast DCT and upsampling, then cv2.resize
               with INTER_AREA
"""

import io
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import cv2
import PIL
import simplejpeg
from PIL import Image

ROUNDS = 7


def pillow(data, size):
    image = Image.open(io.BytesIO(data))
    image.draft("RGB", size)
    return image.resize(size, Image.Resampling.BICUBIC)


def simplejpeg_area(data, size):
    image = simplejpeg.decode_jpeg(
        data, "RGB", fastdct=True, fastupsample=True, min_width=size[0], min_height=size[1]
    )
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


PEERS = {"pillow": pillow, "simplejpeg": simplejpeg_area}
METHODS = ["ours", "limit", "limit_eighths", *PEERS]


class Cell:
    def __init__(self, folder):
        lines = (folder / "targets.txt").read_text().splitlines()
        self.sizes = [tuple(map(int, line.split())) for line in lines]
        self.files = [(folder / f"{i}.jpg").read_bytes() for i in range(len(lines))]


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: decode_bench.py DECODE_BENCH_BINARY")
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})  # the child too
    cv2.setNumThreads(1)
    print(
        f"peers: Pillow {PIL.__version__}, simplejpeg {simplejpeg.__version__}, "
        f"OpenCV {cv2.__version__}; core {core}; {ROUNDS} rounds"
    )
    with tempfile.TemporaryDirectory() as folder:
        child = subprocess.Popen(
            [sys.argv[1], folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        cells = {}
        while name := child.stdout.readline().strip():
            cells[name] = Cell(pathlib.Path(folder) / name)

        def measure(method, name):
            cell = cells[name]
            if method in PEERS:
                begin = time.thread_time()
                for data, size in zip(cell.files, cell.sizes):
                    PEERS[method](data, size)
                seconds = time.thread_time() - begin
            else:
                child.stdin.write(f"{method} {name}\n")
                child.stdin.flush()
                seconds = float(child.stdout.readline())
            return 1000 * seconds / len(cell.files)

        failed = False
        for name, cell in cells.items():
            times = {method: [] for method in METHODS}
            for round_ in range(ROUNDS + 1):  # the first is the warm-up
                for method in METHODS:
                    spent = measure(method, name)
                    if round_ > 0:
                        times[method].append(spent)
            median = {method: statistics.median(t) for method, t in times.items()}
            pixels = [int(n) for n in name.split("@")[0].split("x")]
            bits = 8 * statistics.mean(len(f) for f in cell.files) / (pixels[0] * pixels[1])
            ratio = median["limit"] / median["ours"]
            failed |= ratio < 0.8 or any(median[peer] <= median["ours"] for peer in PEERS)
            print(
                f"cell={name} bits_per_pixel={bits:.2f} "
                + " ".join(f"{method}_ms={median[method]:.3f}" for method in METHODS)
                + f" of_limit={ratio:.3f} "
                + " ".join(f"over_{p}={median[p] / median['ours']:.2f}" for p in PEERS),
                flush=True,
            )
        child.stdin.close()
        child.wait()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
