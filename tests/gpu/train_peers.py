"""Training steps of the benchmarks' model in PyTorch, for rows G2 and G3.

The model is that of worker/bench/train_step_bench.py: two like towers with RMSNorm, QK-norm, MLPs
in the tanh form and attention pooling, without RoPE. Activations are bf16, parameters, norms' sums
and the loss fp32; AdamW is fused. Blocks and heads go through torch.compile one by one, which costs
little speed at these sizes and much less time than the whole model.
"""

import random

import torch
import torch.nn.functional as F
from kernel_peers import gpu_seconds

DEVICE = "cuda"
BF16 = torch.bfloat16
PATCH = 3 * 16 * 16


class Packed:
    """Segments behind one another: [tokens, ...]."""

    def __init__(self, lengths):
        self.longest = max(lengths)
        self.ends = torch.tensor([0, *lengths]).cumsum(0).to(DEVICE, torch.int32)
        self.pooled_ends = torch.arange(len(lengths) + 1, device=DEVICE, dtype=torch.int32)
        self.shape = (sum(lengths),)
        self.places = torch.cat([torch.arange(n) for n in lengths]).to(DEVICE)

    def attend(self, q, k, v):
        from torch.nn.attention.varlen import varlen_attn

        return varlen_attn(q, k, v, self.ends, self.ends, self.longest, self.longest)

    def pool(self, q, k, v):
        from torch.nn.attention.varlen import varlen_attn

        q = q.expand(len(self.ends) - 1, *q.shape).contiguous()
        return varlen_attn(q, k, v, self.pooled_ends, self.ends, 1, self.longest)


class Padded:
    """Segments beside one another, all as long as the longest: [segments, longest, ...]. Padding is
    not masked, which spares the peer the slower kernels for masks."""

    def __init__(self, lengths):
        self.shape = (len(lengths), max(lengths))
        self.places = torch.arange(max(lengths), device=DEVICE).expand(self.shape)

    def attend(self, q, k, v):
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)

    def pool(self, q, k, v):
        return self.attend(q.expand(len(k), 1, *q.shape), k, v).squeeze(1)


class Linear(torch.nn.Linear):
    def forward(self, x):
        bias = None if self.bias is None else self.bias.to(BF16)
        return F.linear(x, self.weight.to(BF16), bias)


class Norm(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(width))

    def forward(self, x):
        y = x.float()
        y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + 1e-6)
        return (y * self.gain).to(BF16)


class Block(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2 = Norm(width), Norm(width)
        self.q_norm, self.k_norm = Norm(64), Norm(64)
        self.qkv = Linear(width, 3 * width, bias=False)
        self.proj = Linear(width, width, bias=False)
        self.fc1, self.fc2 = Linear(width, 4 * width), Linear(4 * width, width)

    def forward(self, x, layout):
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, -1, 64)).unbind(-3)
        mixed = layout.attend(self.q_norm(q), self.k_norm(k), v)
        x = x + self.proj(mixed.flatten(-2))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x)), approximate="tanh"))


class Head(torch.nn.Module):
    """The last norm, one probe over each segment's tokens, and the projection."""

    def __init__(self, width):
        super().__init__()
        self.norm, self.pooled_norm = Norm(width), Norm(width)
        self.probe = torch.nn.Parameter(0.02 * torch.randn(width))
        self.q = Linear(width, width, bias=False)
        self.kv = Linear(width, 2 * width, bias=False)
        self.proj = Linear(width, width, bias=False)
        self.fc1, self.fc2 = Linear(width, 4 * width), Linear(4 * width, width)
        self.projection = Linear(width, width, bias=False)

    def forward(self, x, layout):
        q = self.q(self.probe.to(BF16)).unflatten(-1, (-1, 64))
        k, v = self.kv(self.norm(x)).unflatten(-1, (2, -1, 64)).unbind(-3)
        y = self.proj(layout.pool(q, k, v).flatten(-2))
        y = y + self.fc2(F.gelu(self.fc1(self.pooled_norm(y)), approximate="tanh"))
        return F.normalize(self.projection(y).float(), dim=-1, eps=1e-6)


class Model(torch.nn.Module):
    def __init__(self, width, depth, dynamic):
        super().__init__()
        self.patch_embed = Linear(PATCH, width)
        table = lambda rows: torch.nn.Parameter(0.02 * torch.randn(rows, width))
        self.row, self.column, self.token, self.place = map(table, (128, 128, 258, 64))
        towers = [torch.nn.ModuleList(Block(width) for _ in range(depth)) for _ in range(2)]
        self.image, self.text = towers
        self.image_head, self.text_head = Head(width), Head(width)
        self.logit_scale = torch.nn.Parameter(torch.tensor(2.659))
        for module in [*self.image, *self.text, self.image_head, self.text_head]:
            module.compile(dynamic=dynamic)

    def tower(self, x, blocks, head, layout):
        for block in blocks:
            x = block(x, layout)
        return head(x, layout)

    def forward(self, work):
        x = self.patch_embed((work.patches / 127.5 - 1).to(BF16))
        x = x + F.embedding(work.rows, self.row) + F.embedding(work.columns, self.column)
        images = self.tower(x.to(BF16), self.image, self.image_head, work.image)
        x = F.embedding(work.ids, self.token) + F.embedding(work.text.places, self.place)
        texts = self.tower(x.to(BF16), self.text, self.text_head, work.text)
        scores = self.logit_scale.exp() * images @ texts.T
        target = torch.arange(len(scores), device=DEVICE)
        return (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2


class Work:
    """Random inputs of these lengths; the patches of a step come from pinned memory, as ours do."""

    def __init__(self, image, text, layout):
        self.image, self.text = layout(image), layout(text)
        self.useful_tokens = sum(image)
        draw = lambda most, shape: torch.randint(0, most, shape, device=DEVICE)
        self.rows, self.columns = draw(20, self.image.shape), draw(20, self.image.shape)
        self.ids = draw(258, self.text.shape)
        self.patches = draw(256, (*self.image.shape, PATCH)).to(torch.uint8)
        self.host_patches = self.patches.cpu()
        if DEVICE == "cuda":
            self.host_patches = self.host_patches.pin_memory()


class Trainer:
    def __init__(self, width, depth, dynamic):
        torch.manual_seed(1)
        torch._dynamo.config.recompile_limit = 64
        with torch.device(DEVICE):
            self.model = Model(width, depth, dynamic)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True
        )

    def step(self, work):
        work.patches.copy_(work.host_patches, non_blocking=True)
        self.optimizer.zero_grad()
        loss = self.model(work)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss

    def seconds(self, works, steps):
        return sum(gpu_seconds(lambda: self.step(work), steps) for work in works)


def packed(image, text, width, depth, steps, progress):
    """{name: seconds of a step on the packed work of these lengths}"""
    trainer, work = Trainer(width, depth, dynamic=False), Work(image, text, Packed)
    losses = [trainer.step(work).item() for _ in range(3)]
    progress(f"packed: ready, losses {losses}")
    return {"varlen_attn, compiled, fused AdamW": lambda: trainer.seconds([work], steps)}


def batches(lengths, tokens, by_length):
    """Of (image, text) lengths: as many to a batch as fit into `tokens` with their padding."""
    lengths = sorted(lengths) if by_length else lengths
    result = [[]]
    for pair in lengths:
        longest = max(image for image, _ in [*result[-1], pair])
        if longest * (len(result[-1]) + 1) > tokens:
            result.append([])
        result[-1].append(pair)
    # The last one is what is left, and would be a small one.
    return result[:-1] if len(result) > 1 else result


def padded(image, text, width, depth, tokens, window, steps, progress):
    """{name: seconds of as many useful image tokens as `image` has}, of batches that are cut from a
    window of so many times these lengths."""
    draw = random.Random(1)
    lengths = [*zip(image, text)] * window
    draw.shuffle(lengths)
    trainer = Trainer(width, depth, dynamic=True)
    peers = {}
    for name, by_length in [("sorted", True), ("unsorted", False)]:
        cut = batches(lengths, tokens, by_length)
        works = [Work(*map(list, zip(*batch)), Padded) for batch in cut]
        useful = sum(work.useful_tokens for work in works)
        padding = 1 - useful / sum(work.image.shape[0] * work.image.shape[1] for work in works)
        losses = [trainer.step(work).item() for work in works]
        progress(f"padded, {name}: ready, {len(works)} batches, losses {losses}")
        share = sum(image) / useful
        peers[f"padded, {name} ({padding:.0%} padding)"] = (
            lambda works=works, share=share: share * trainer.seconds(works, steps)
        )
    return peers
