"""Segment attention on CPU, forward and backward: ours and PyTorch's forms, in turns.

    bazel build //kernels/bench:kernels_bench
    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install -r worker/bench/requirements.txt
    /tmp/peers/bin/python kernels/bench/segment_attention_bench.py bazel-bin/kernels/bench/kernels_bench

Some 2,300 tokens in segments of 71, 196 and 460, 12 heads of 64, float32, one thread on both sides.
PyTorch's forms have q, k and v as tensors of their own, laid out as they like them best; ours reads
and writes them interleaved as the model has them:

per_segment  scaled_dot_product_attention, segment by segment
batched      scaled_dot_product_attention over all segments at once: they are equally long here
by_hand      two products and a softmax over all segments at once
compiled     by_hand under torch.compile

One line per length: milliseconds of ours, its share of the FMA peak, per form its time over ours,
and the least of these; medians of the rounds.
"""

import json
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F

ROUNDS = 9
REPETITIONS = 5
HEADS, DIM = 12, 64
# Length and number of segments, as kernels_bench has them.
SIZES = [(71, 32), (196, 12), (460, 5)]


def per_segment(q, k, v):
    parts = zip(q.split(1), k.split(1), v.split(1))
    return torch.cat([F.scaled_dot_product_attention(*part) for part in parts])


def by_hand(q, k, v):
    return torch.softmax(q @ k.transpose(-1, -2) * DIM**-0.5, -1) @ v


FORMS = {
    "per_segment": per_segment,
    "batched": F.scaled_dot_product_attention,
    "by_hand": by_hand,
    "compiled": torch.compile(by_hand, dynamic=False),
}


def peer_seconds(form, qkv, dout):
    """Median of the repetitions."""
    durations = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        out = form(*qkv)
        torch.autograd.grad(out, qkv, dout)
        durations.append(time.perf_counter() - start)
    return statistics.median(durations)


def ours(program, length, segments):
    """(seconds, share of peak), the median of kernels_bench's repetitions."""
    out = subprocess.run(
        [
            program,
            f"--benchmark_filter=^SegmentAttention/length:{length}/segments:{segments}$",
            "--benchmark_min_time=0.1",
            f"--benchmark_repetitions={REPETITIONS}",
            "--benchmark_format=json",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    median = next(b for b in json.loads(out)["benchmarks"] if b.get("aggregate_name") == "median")
    return median["real_time"] * 1e-9, median["of_peak"]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    torch.manual_seed(1)
    print(f"torch={torch.__version__} threads=1 heads={HEADS} dim={DIM}")
    for length, segments in SIZES:
        qkv = [torch.randn(segments, HEADS, length, DIM, requires_grad=True) for _ in range(3)]
        dout = torch.randn(segments, HEADS, length, DIM)
        milliseconds, of_peak, ratios = [], [], {name: [] for name in FORMS}
        for form in FORMS.values():
            peer_seconds(form, qkv, dout)
        for _ in range(ROUNDS):
            seconds, share = ours(sys.argv[1], length, segments)
            milliseconds.append(1e3 * seconds)
            of_peak.append(share)
            for name, form in FORMS.items():
                ratios[name].append(peer_seconds(form, qkv, dout) / seconds)
        medians = {name: statistics.median(values) for name, values in ratios.items()}
        line = f"segment_attention length={length} segments={segments}"
        line += f" ms={statistics.median(milliseconds):.3g} of_peak={statistics.median(of_peak):.3f}"
        line += "".join(f" {name}={ratio:.2f}" for name, ratio in medians.items())
        print(f"{line} best={min(medians.values()):.2f}", flush=True)


if __name__ == "__main__":
    main()
