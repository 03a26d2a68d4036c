"""The towers and losses in plain PyTorch, one segment after the other; none of navit's code.

Parameters come as a dictionary of tensors by navit's names (worker/model/parameters.h).
"""
import math

import torch
import torch.nn.functional as F


def rms_norm(x, gain, eps=1e-6):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * gain


def norm(p, name, x, tower):
    if tower["norm"] == "layer":
        return F.layer_norm(x, x.shape[-1:], p[name + ".gain"], p[name + ".bias"], tower["eps"])
    return rms_norm(x, p[name + ".gain"], tower["eps"])


def gelu(x, tower):
    return F.gelu(x, approximate="none" if tower["gelu"] == "erf" else "tanh")


def mlp(p, name, x, tower):
    hidden = gelu(F.linear(x, p[name + ".fc1.weight"], p[name + ".fc1.bias"]), tower)
    return F.linear(hidden, p[name + ".fc2.weight"], p[name + ".fc2.bias"])


def rope(x, angles):
    """x [H, T, d], angles [T, d / 2]: channel k turns with channel k + d / 2."""
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def attention(p, name, x, tower, angles):
    tokens, width = x.shape
    heads = tower["heads"]
    qkv = F.linear(x, p[name + ".qkv.weight"], p.get(name + ".qkv.bias"))
    q, k, v = qkv.view(tokens, 3, heads, width // heads).permute(1, 2, 0, 3)
    if tower["qk_norm"]:
        q = rms_norm(q, p[name + ".q_norm.gain"])
        k = rms_norm(k, p[name + ".k_norm.gain"])
    if angles is not None:
        q, k = rope(q, angles), rope(k, angles)
    scores = q @ k.transpose(-1, -2) / math.sqrt(width // heads)
    if tower["causal"]:
        scores = scores + torch.full((tokens, tokens), -math.inf, dtype=x.dtype).triu(1)
    out = (scores.softmax(-1) @ v).transpose(0, 1).reshape(tokens, width)
    return F.linear(out, p[name + ".proj.weight"], p.get(name + ".proj.bias"))


def pool(p, name, x, tower):
    if tower["pooling"] == "token":
        return x[0 if tower["prefix"] else -1]
    x = x[tower["prefix"]:]
    if tower["pooling"] == "mean":
        return x.mean(0)
    if tower["pooling"] == "max":
        return x.max(0).values
    heads, width = tower["heads"], x.shape[1]
    query = F.linear(p[name + ".probe"], p[name + ".q.weight"], p.get(name + ".q.bias"))
    query = query.view(heads, 1, -1)
    k, v = F.linear(x, p[name + ".kv.weight"], p.get(name + ".kv.bias")).view(len(x), 2, heads, -1).permute(1, 2, 0, 3)
    scores = query @ k.transpose(-1, -2) / math.sqrt(width // heads)
    y = F.linear((scores.softmax(-1) @ v).reshape(width), p[name + ".proj.weight"],
                 p.get(name + ".proj.bias"))
    return y + mlp(p, name + ".mlp", norm(p, name + ".norm", y, tower), tower)


def encode(p, name, x, tower, angles=None):
    """Tokens of one segment [T, D] to its embedding of unit length, or to logits."""
    prefix = tower["prefix"]
    if prefix:
        x = torch.cat([p[name + ".prefix"], x])
        if angles is not None:
            angles = F.pad(angles, (0, 0, prefix, 0))
    if tower["norm_pre"]:
        x = norm(p, name + ".norm_pre", x, tower)
    for layer in range(tower["depth"]):
        block = f"{name}.blocks.{layer}"
        branch = attention(p, block + ".attn", norm(p, block + ".norm1", x, tower), tower, angles)
        x = x + branch * p.get(block + ".scale1.gain", 1)
        branch = mlp(p, block + ".mlp", norm(p, block + ".norm2", x, tower), tower)
        x = x + branch * p.get(block + ".scale2.gain", 1)
    if not tower["norm_after"]:
        x = norm(p, name + ".norm", x, tower)
    pooled = pool(p, name + ".pool", x, tower)
    if tower["norm_after"]:
        pooled = norm(p, name + ".norm", pooled, tower)
    if name + ".classifier.weight" in p:
        return F.linear(pooled, p[name + ".classifier.weight"], p[name + ".classifier.bias"])
    out = F.linear(pooled, p[name + ".projection.weight"])
    return out / out.norm().clamp(min=1e-6)


def coordinates(positions, grid, rows, kind, dtype):
    """Places of an image's tokens in units of table rows, [T, 2]."""
    positions = positions.to(dtype)
    if kind == "absolute":
        return positions
    sides = torch.tensor(grid, dtype=dtype)
    if kind == "aspect":
        sides = sides.max().expand(2)
    return ((positions + 0.5) * rows / sides - 0.5).clamp(0, rows - 1)


def interpolate(table, u):
    """Rows of `table` [R, D] at real places `u` [T]."""
    low = u.floor().long()
    weight = (u - low).unsqueeze(-1)
    high = (low + 1).clamp(max=len(table) - 1)
    return table[low] * (1 - weight) + table[high] * weight


def position(p, u, config):
    kind = config["position"]
    name = "image.position"
    if kind in ("sum", "product", "stack"):
        row = interpolate(p[name + ".row"], u[:, 0])
        column = interpolate(p[name + ".column"], u[:, 1])
        if kind == "sum":
            return row + column
        return row * column if kind == "product" else torch.cat([row, column], -1)
    if kind == "joint":
        table = p[name + ".table"]  # [R, R, D]
        low = u.floor().long()
        high = (low + 1).clamp(max=len(table) - 1)
        wr, wc = ((u - low)[:, i : i + 1] for i in (0, 1))
        top = table[low[:, 0], low[:, 1]] * (1 - wc) + table[low[:, 0], high[:, 1]] * wc
        bottom = table[high[:, 0], low[:, 1]] * (1 - wc) + table[high[:, 0], high[:, 1]] * wc
        return top * (1 - wr) + bottom * wr
    if kind == "sinusoidal":
        quarter = config["image"]["width"] // 4
        omega = 10000.0 ** (-torch.arange(quarter, dtype=u.dtype) / quarter)
        phase = torch.cat([u[:, :1] * omega, u[:, 1:] * omega], -1)
        return torch.cat([phase.sin(), phase.cos()], -1)
    if kind == "fourier":
        phase = 2 * math.pi * F.linear(u, p[name + ".frequencies"])
        return torch.cat([phase.sin(), phase.cos()], -1)
    return 0


def rope_angles(u, tower):
    quarter = tower["width"] // tower["heads"] // 4
    omega = 10000.0 ** (-torch.arange(quarter, dtype=u.dtype) / quarter)
    return torch.cat([u[:, :1] * omega, u[:, 1:] * omega], -1)


def image_embeddings(p, batch, config):
    tower = config["image"]
    mean, std = 0.5, 0.5
    rows = []
    for example in batch:
        pixels = torch.as_tensor(example["patches"]).to(p["image.patch_embed.weight"].dtype)
        x = (pixels / 255 - mean) / std
        x = F.linear(x, p["image.patch_embed.weight"], p.get("image.patch_embed.bias"))
        u = coordinates(
            torch.as_tensor(example["positions"]), example["grid"], config["table_rows"],
            config["coordinates"], x.dtype)
        x = x + position(p, u, config)
        angles = rope_angles(u, tower) if config["position"] == "rope" else None
        rows.append(encode(p, "image", x, tower, angles))
    return torch.stack(rows)


def text_embeddings(p, batch, config):
    rows = []
    for example in batch:
        ids = torch.as_tensor(example["text"])
        x = p["text.token_embed"][ids] + p["text.position"][: len(ids)]
        rows.append(encode(p, "text", x, config["text"]))
    return torch.stack(rows)


def counted(hashes, equal):
    """1 for pairs in the sums, and the pairs that are positives."""
    same = torch.as_tensor([[a == b for b in hashes] for a in hashes])
    own = torch.eye(len(hashes), dtype=torch.bool)
    if equal == "ignore":
        return own | ~same, own
    return torch.ones_like(own), same if equal == "positives" else own


def softmax_loss(p, images, texts, hashes, equal):
    counts, positive = counted(hashes, equal)
    scores = p["loss.logit_scale"].exp() * images @ texts.T
    scores = scores.masked_fill(~counts, -math.inf)
    target = positive.to(scores.dtype)
    target = target / target.sum(1, keepdim=True)
    total = 0
    for z, t in ((scores, target), (scores.T, target.T)):
        log_p = z.log_softmax(1).masked_fill(t == 0, 0)
        total = total - (t * log_p).sum(1).mean() / 2
    return total


def sigmoid_loss(p, images, texts, hashes, equal):
    counts, positive = counted(hashes, equal)
    scores = p["loss.logit_scale"].exp() * images @ texts.T + p["loss.logit_bias"]
    signs = torch.where(positive, 1.0, -1.0).to(scores.dtype)
    return -(F.logsigmoid(signs * scores) * counts).sum() / len(images)


def softmax_classification(logits, labels, smoothing):
    return F.cross_entropy(logits, labels, label_smoothing=smoothing)


def sigmoid_classification(logits, labels, smoothing):
    classes = logits.shape[1]
    target = F.one_hot(labels, classes).to(logits.dtype) * (1 - smoothing) + smoothing / classes
    return F.binary_cross_entropy_with_logits(logits, target, reduction="sum") / len(logits)
