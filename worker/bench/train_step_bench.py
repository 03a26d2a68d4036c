"""Whole training steps on CPU: ours and PyTorch's, on the same packed work, in turns.

    bazel build //worker/bench:train_step_bench
    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install -r worker/bench/requirements.txt
    /tmp/peers/bin/python worker/bench/train_step_bench.py bazel-bin/worker/bench/train_step_bench

A step is the forward pass of both towers, the softmax contrastive loss, the backward pass, clipping
and AdamW. Both sides run as many threads as there are cores. The peers compute with the same model
in float32 and the same segments, which stay the same in all steps: torch.compile traces once. The
sides take turns step by step, in one process each, so that a slow second of the machine falls on
all of them.

per_segment  linear layers over all tokens at once, attention segment by segment
dense_mask   attention over rows of 576 tokens with a block-diagonal mask

One line per width: seconds of ours, and per peer its seconds over ours; medians of the rounds.
"""

import os
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F

ROUNDS = 11
SEQUENCES = 4
ROW = 576
# Width and depth: ViT-S whole, and ViT-B's width at a depth that fits the time.
SIZES = [(384, 12), (768, 4)]
PEERS = {384: ["per_segment", "dense_mask"], 768: ["per_segment"]}


class Attention(torch.nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = torch.nn.Linear(width, 3 * width, bias=False)
        self.proj = torch.nn.Linear(width, width, bias=False)
        self.q_norm = torch.nn.RMSNorm(width // heads, 1e-6)
        self.k_norm = torch.nn.RMSNorm(width // heads, 1e-6)

    def forward(self, x, segments):
        tokens, width = x.shape
        q, k, v = self.qkv(x).view(tokens, 3, self.heads, -1).permute(1, 2, 0, 3)
        q, k = self.q_norm(q), self.k_norm(k)
        if isinstance(segments, list):
            parts = zip(*(t.split(segments, 1) for t in (q, k, v)))
            out = torch.cat([F.scaled_dot_product_attention(*part) for part in parts], 1)
        else:
            rows = len(segments)
            q, k, v = (t.unflatten(1, (rows, -1)).transpose(0, 1) for t in (q, k, v))
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=segments)
            out = out.transpose(0, 1).flatten(1, 2)
        return self.proj(out.transpose(0, 1).reshape(tokens, width))


class Mlp(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = torch.nn.Linear(width, 4 * width)
        self.fc2 = torch.nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class Block(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1 = torch.nn.RMSNorm(width, 1e-6)
        self.norm2 = torch.nn.RMSNorm(width, 1e-6)
        self.attention = Attention(width, width // 64)
        self.mlp = Mlp(width)

    def forward(self, x, segments):
        x = x + self.attention(self.norm1(x), segments)
        return x + self.mlp(self.norm2(x))


class MapHead(torch.nn.Module):
    """One probe over each segment's tokens."""

    def __init__(self, width):
        super().__init__()
        self.heads = width // 64
        self.probe = torch.nn.Parameter(0.02 * torch.randn(width))
        self.q = torch.nn.Linear(width, width, bias=False)
        self.kv = torch.nn.Linear(width, 2 * width, bias=False)
        self.proj = torch.nn.Linear(width, width, bias=False)
        self.norm = torch.nn.RMSNorm(width, 1e-6)
        self.mlp = Mlp(width)

    def forward(self, x, lengths):
        q = self.q(self.probe).view(self.heads, 1, -1)
        k, v = self.kv(x).view(len(x), 2, self.heads, -1).permute(1, 2, 0, 3)
        parts = zip(k.split(lengths, 1), v.split(lengths, 1))
        pooled = [F.scaled_dot_product_attention(q, *part).flatten() for part in parts]
        y = self.proj(torch.stack(pooled))
        return y + self.mlp(self.norm(y))


class Tower(torch.nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.blocks = torch.nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = torch.nn.RMSNorm(width, 1e-6)
        self.pool = MapHead(width)
        self.projection = torch.nn.Linear(width, width, bias=False)

    def forward(self, x, lengths, segments):
        for block in self.blocks:
            x = block(x, segments)
        return F.normalize(self.projection(self.pool(self.norm(x), lengths)), eps=1e-6)


class Model(torch.nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.patch_embed = torch.nn.Linear(3 * 16 * 16, width)
        self.row = torch.nn.Parameter(0.02 * torch.randn(128, width))
        self.column = torch.nn.Parameter(0.02 * torch.randn(128, width))
        self.token_embed = torch.nn.Parameter(0.02 * torch.randn(258, width))
        self.place = torch.nn.Parameter(0.02 * torch.randn(64, width))
        self.image, self.text = Tower(width, depth), Tower(width, depth)
        self.logit_scale = torch.nn.Parameter(torch.tensor(2.659))

    def forward(self, work):
        x = self.patch_embed(work["patches"].float() / 127.5 - 1)
        x = x + self.row[work["rows"]] + self.column[work["columns"]]
        images = self.image(x, work["image"], work["image_segments"])
        x = self.token_embed[work["ids"]] + self.place[work["places"]]
        texts = self.text(x, work["text"], work["text_segments"])
        scores = self.logit_scale.exp() * images @ texts.T
        target = torch.arange(len(scores))
        return (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2


def block_diagonal(rows):
    """Masks [rows, 1, T, T] of rows of segments; T is the longest row, which all are padded to."""
    longest = max(sum(row) for row in rows)
    ids = torch.full((len(rows), longest), -1)
    for i, row in enumerate(rows):
        ids[i, : sum(row)] = torch.repeat_interleave(torch.arange(len(row)), torch.tensor(row))
    return (ids.unsqueeze(1) == ids.unsqueeze(2)).unsqueeze(1)


def make_work(image, text, kind):
    """Random inputs of these lengths. Image rows are full; captions attend segment by segment in
    both forms, since a step's captions are short and one dense row of them would be a poor peer."""
    tokens, characters = sum(image), sum(text)
    segments = image
    if kind == "dense_mask":
        rows, row = [], []
        for length in image:
            row.append(length)
            if sum(row) == ROW:
                rows.append(row)
                row = []
        segments = block_diagonal(rows)
    return {
        "patches": torch.randint(0, 256, (tokens, 768), dtype=torch.uint8),
        "rows": torch.randint(0, 20, (tokens,)),
        "columns": torch.randint(0, 20, (tokens,)),
        "ids": torch.randint(0, 258, (characters,)),
        "places": torch.cat([torch.arange(n) for n in text]),
        "image": image,
        "text": text,
        "image_segments": segments,
        "text_segments": text,
    }


class Peer:
    def __init__(self, kind, width, depth, image, text):
        torch.manual_seed(1)
        self.work = make_work(image, text, kind)
        self.model = Model(width, depth)
        self.loss = torch.compile(self.model)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True
        )
        self.step()

    def step(self):
        self.optimizer.zero_grad()
        self.loss(self.work).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()

    def seconds(self):
        start = time.perf_counter()
        self.step()
        return time.perf_counter() - start


class Ours:
    def __init__(self, program, threads, width, depth):
        self.child = subprocess.Popen(
            [program, *map(str, (threads, SEQUENCES, width, depth))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        segments = self.line()
        self.image, self.text = ([int(n) for n in segments[k].split(",")] for k in ("image", "text"))

    def line(self):
        """The fields of the next line that the program prints."""
        words = self.child.stdout.readline().split()
        if not words:
            sys.exit(f"train_step_bench ended with {self.child.wait()}")
        return dict(word.split("=") for word in words[1:])

    def step(self):
        print(file=self.child.stdin, flush=True)
        return {key: float(value) for key, value in self.line().items()}

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    threads = os.cpu_count()
    torch.set_num_threads(threads)
    print(f"torch={torch.__version__} threads={threads} sequences={SEQUENCES} row={ROW}")
    for width, depth in SIZES:
        ours = Ours(sys.argv[1], threads, width, depth)
        peers = {kind: Peer(kind, width, depth, ours.image, ours.text) for kind in PEERS[width]}
        steps, ratios = [], {kind: [] for kind in peers}
        for _ in range(ROUNDS):
            steps.append(ours.step())
            for kind, peer in peers.items():
                ratios[kind].append(peer.seconds() / steps[-1]["seconds"])
        ours.close()
        line = f"train_step_bench width={width} depth={depth}"
        for key in ("seconds", "gflops", "of_peak"):
            line += f" {key}={statistics.median(step[key] for step in steps):.4g}"
        for kind, values in ratios.items():
            line += f" {kind}={statistics.median(values):.3f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
