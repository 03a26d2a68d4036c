"""Every operation of kernels/ in plain PyTorch; none of navit's code.

An operation draws its inputs by name and returns what it computes. make_values.py keeps that as y,
and as dINPUT the gradient of sum(dy * y), dy drawn likewise, for every input that is not fixed; a
scalar is differentiated as it is.
"""
import math

import torch
import torch.nn.functional as F

import drawn
import model

# Packed segments that most operations share: empty ones, one of one token, one longer than a vector.
LENGTHS = [3, 0, 1, 19, 0, 6]
TOKENS = sum(LENGTHS)


class Inputs:
    def __init__(self, operation, dtype):
        self.operation = operation
        self.dtype = dtype
        self.differentiated = {}

    def fixed(self, name, *shape, scale=1.0):
        """Reals in [-scale, scale)."""
        values = drawn.reals(f"{self.operation}.{name}", shape, scale)
        return torch.tensor(values, dtype=self.dtype)

    def whole(self, name, *shape, below):
        values = drawn.whole(f"{self.operation}.{name}", math.prod(shape), below)
        return torch.tensor(values).reshape(shape)

    def real(self, name, *shape, scale=1.0):
        return self.learned(name, self.fixed(name, *shape, scale=scale))

    def learned(self, name, value):
        value = torch.as_tensor(value, dtype=self.dtype).requires_grad_()
        self.differentiated[name] = value
        return value


def run(operation, dtype):
    inputs = Inputs(operation, dtype)
    y = OPERATIONS[operation](inputs)
    out = {"y": y.detach().reshape(-1)}
    if inputs.differentiated:
        dy = inputs.fixed("dy", *y.shape) if y.ndim else torch.ones_like(y)
        gradients = torch.autograd.grad(y, list(inputs.differentiated.values()), dy)
        out.update({"d" + name: g.reshape(-1) for name, g in zip(inputs.differentiated, gradients)})
    return out


def linear(i):
    return F.linear(i.real("x", 7, 33), i.real("weight", 21, 33), i.real("bias", 21))


def bias_gelu(i, form):
    return F.gelu(i.real("x", 9, 37, scale=4) + i.real("bias", 37), approximate=form)


def rms_norm(i):
    return F.rms_norm(i.real("x", 9, 37, scale=2), (37,), i.real("gain", 37), eps=1e-6)


def layer_norm(i):
    return F.layer_norm(i.real("x", 9, 37, scale=2) + 1, (37,), i.real("gain", 37), i.real("bias", 37),
                        eps=1e-6)


def layer_scale(i):
    return i.fixed("residual", 9, 37) + i.real("x", 9, 37) * i.real("gain", 37)


def qk_norm(i):
    q, k, v = i.real("qkv", 9, 3, 2, 20).unbind(1)
    q = F.rms_norm(q, (20,), i.real("q_gain", 20), eps=1e-6)
    k = F.rms_norm(k, (20,), i.real("k_gain", 20), eps=1e-6)
    return torch.stack([q, k, v], 1)


def rope(i):
    tokens, heads, dim = 9, 2, 20
    angles = model.rope_angles(i.whole("coordinates", tokens, 2, below=64).to(i.dtype),
                               {"width": heads * dim, "heads": heads})
    q, k, v = i.real("qkv", tokens, 3, heads, dim).unbind(1)
    q, k = (model.rope(x.transpose(0, 1), angles).transpose(0, 1) for x in (q, k))
    return torch.stack([q, k, v], 1)


def segment_attention(i, causal):
    heads, dim = 2, 20
    parts = []
    for qkv in i.real("qkv", TOKENS, 3, heads, dim, scale=2).split(LENGTHS):
        q, k, v = qkv.permute(1, 2, 0, 3)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        parts.append(out.transpose(0, 1))
    return torch.cat(parts)


def map_pool_attention(i):
    heads, dim = 2, 20
    query = i.real("query", heads, dim, scale=2).unsqueeze(1)
    rows = []
    for kv in i.real("kv", TOKENS, 2, heads, dim, scale=2).split(LENGTHS):
        if len(kv):
            k, v = kv.permute(1, 2, 0, 3)
            rows.append(F.scaled_dot_product_attention(query, k, v).squeeze(1))
    return torch.stack(rows)


def segment_pool(i, pool):
    parts = i.real("x", TOKENS, 37).split(LENGTHS)
    return torch.stack([pool(x) if len(x) else torch.zeros(37, dtype=i.dtype) for x in parts])


def prefix_tokens(i):
    prefix = i.real("prefix", 2, 37)
    return torch.cat([torch.cat([prefix, x]) for x in i.real("x", TOKENS, 37).split(LENGTHS)])


def l2_normalize(i):
    return F.normalize(i.real("x", 9, 37), dim=1, eps=1e-6)


def embedding(i):
    ids = i.whole("ids", TOKENS, below=11)
    places = torch.cat([torch.arange(length) for length in LENGTHS])
    return F.embedding(ids, i.real("token_table", 11, 37)) + \
        F.embedding(places, i.real("position_table", 24, 37))


def patch_normalize(i):
    mean = torch.tensor([0.5, 0.25, 0.75], dtype=i.dtype)
    std = torch.tensor([0.5, 0.25, 0.125], dtype=i.dtype)
    return (i.whole("x", 5, 4, 3, below=256).to(i.dtype) / 255 - mean) / std


def position(i, kind):
    rows, width = 8, 36
    # 64ths, which float32 holds exactly, up to the last row.
    u = i.whole("coordinates", TOKENS, 2, below=(rows - 1) * 64 + 1).to(i.dtype) / 64
    p = {"image.position." + name: i.real(name + "_table", *shape) for name, shape in {
        "stack": {"row": (rows, width // 2), "column": (rows, width // 2)},
        "joint": {"table": (rows, rows, width)},
        "sinusoidal": {}, "fourier": {}}.get(kind, {"row": (rows, width), "column": (rows, width)}).items()}
    if kind == "fourier":
        p = {"image.position.frequencies": i.real("frequencies", width // 2, 2, scale=0.25)}
    config = {"position": kind, "image": {"width": width}}
    return i.real("x", TOKENS, width) + model.position(p, u, config)


def resampled_table(i):
    weights = i.fixed("weights", TOKENS, 2, 5)
    filtered = torch.einsum("tr,tc,rcd->td", weights[:, 0], weights[:, 1], i.real("table", 5, 5, 37))
    return i.real("x", TOKENS, 37) + filtered


# Some pairs share a caption.
HASHES = [1, 2, 3, 1, 4, 3, 5, 1, 6, 7, 8]


def softmax_contrastive(i, scale, equal, smoothing=0.0):
    count = len(HASHES)
    x, y = i.real("x", count, 24, scale=0.5), i.real("y", count, 24, scale=0.5)
    counts, positive = model.counted(HASHES, equal)
    scores = i.learned("scale", scale) * x @ y.T
    total = 0
    for z, pairs, own in ((scores, counts, positive), (scores.T, counts.T, positive.T)):
        pairs, own = pairs.to(i.dtype), own.to(i.dtype)
        target = (1 - smoothing) * own / own.sum(1, keepdim=True)
        target = target + smoothing * pairs / pairs.sum(1, keepdim=True)
        log_p = z.masked_fill(pairs == 0, -math.inf).log_softmax(1).masked_fill(pairs == 0, 0)
        total = total - (target * log_p).sum() / (2 * count)
    return total


def sigmoid_contrastive(i, equal, smoothing=0.0):
    count = len(HASHES)
    x, y = i.real("x", count, 24, scale=0.5), i.real("y", count, 24, scale=0.5)
    counts, positive = model.counted(HASHES, equal)
    scores = i.learned("scale", 10.0) * x @ y.T + i.learned("bias", -10.0)
    target = torch.where(positive, 1 - smoothing / 2, smoothing / 2).to(i.dtype)
    losses = F.binary_cross_entropy_with_logits(scores, target, reduction="none")
    return (losses * counts).sum() / count


def classification(i, loss, smoothing):
    return loss(i.real("logits", 9, 37, scale=8), i.whole("label", 9, below=37), smoothing)


def adamw(i):
    """The parameters after three steps."""
    p = torch.nn.Parameter(i.fixed("param", 37))
    optimizer = torch.optim.AdamW([p], lr=1 / 64, betas=(0.875, 0.9375), eps=1e-8, weight_decay=0.125)
    for step in range(3):
        p.grad = i.fixed(f"grad{step}", 37) / 2
        optimizer.step()
    return p


def ema(i):
    return i.fixed("average", 37).lerp(i.fixed("value", 37), 1 / 16)


def sum_squares(i):
    return torch.linalg.vector_norm(i.fixed("x", 1037)) ** 2


OPERATIONS = {
    "linear": linear,
    "bias_gelu_tanh": lambda i: bias_gelu(i, "tanh"),
    "bias_gelu_erf": lambda i: bias_gelu(i, "none"),
    "rms_norm": rms_norm,
    "layer_norm": layer_norm,
    "layer_scale": layer_scale,
    "qk_norm": qk_norm,
    "rope": rope,
    "segment_attention": lambda i: segment_attention(i, False),
    "segment_attention_causal": lambda i: segment_attention(i, True),
    "map_pool_attention": map_pool_attention,
    "segment_pool_mean": lambda i: segment_pool(i, lambda x: x.mean(0)),
    "segment_pool_max": lambda i: segment_pool(i, lambda x: x.max(0).values),
    "segment_pool_first": lambda i: segment_pool(i, lambda x: x[0]),
    "segment_pool_last": lambda i: segment_pool(i, lambda x: x[-1]),
    "prefix_tokens": prefix_tokens,
    "l2_normalize": l2_normalize,
    "embedding": embedding,
    "patch_normalize": patch_normalize,
    **{"position_" + kind: lambda i, kind=kind: position(i, kind)
       for kind in ("sum", "product", "stack", "joint", "sinusoidal", "fourier")},
    "resampled_table": resampled_table,
    "softmax_contrastive": lambda i: softmax_contrastive(i, 10.0, "ignore"),
    "softmax_contrastive_positives": lambda i: softmax_contrastive(i, 10.0, "positives"),
    "softmax_contrastive_smoothed": lambda i: softmax_contrastive(i, 10.0, "ignore", 0.125),
    "softmax_contrastive_hot": lambda i: softmax_contrastive(i, 100.0, "ignore"),
    "sigmoid_contrastive": lambda i: sigmoid_contrastive(i, "ignore"),
    "sigmoid_contrastive_positives": lambda i: sigmoid_contrastive(i, "positives"),
    "sigmoid_contrastive_smoothed": lambda i: sigmoid_contrastive(i, "ignore", 0.125),
    "softmax_classified": lambda i: classification(i, model.softmax_classification, 0.125),
    "sigmoid_classified": lambda i: classification(i, model.sigmoid_classification, 0.125),
    "adamw": adamw,
    "ema": ema,
    "sum_squares": sum_squares,
}
