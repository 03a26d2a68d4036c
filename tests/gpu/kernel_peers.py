"""PyTorch's forms of what kernels/bench:gpu_bench times. Each function gives {name: seconds()}."""

import functools
import math
import random
import statistics

import torch
import torch.nn.functional as F

DEVICE = "cuda"


def draw_lengths(mean, tokens):
    """Segments as images of drawn sides have them: sides are uniform from a quarter of the largest
    up, and tokens their squares. The last one is what is left."""
    draw = random.Random(mean)
    largest = math.sqrt(mean / 0.4375)  # the mean square of such a side is 0.4375 of the largest
    lengths = []
    while (left := tokens - sum(lengths)) > 0:
        lengths.append(min(left, max(1, round(draw.uniform(0.25 * largest, largest) ** 2))))
    return lengths


def brief(error):
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"


def gpu_seconds(run, iterations):
    """Median of iterations that are queued without waiting between them."""
    events = [torch.cuda.Event(enable_timing=True) for _ in range(iterations + 1)]
    events[0].record()
    for event in events[1:]:
        run()
        event.record()
    torch.cuda.synchronize()
    return statistics.median(a.elapsed_time(b) for a, b in zip(events, events[1:])) / 1e3


def captured(run, name, progress):
    """`run` as a CUDA graph, or as it is where that fails."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            run()
    except Exception as error:
        progress(f"{name}: not captured: {brief(error)}")
        torch.cuda.synchronize()
        return run

    def replay():
        graph.replay()
        return run  # keeps what the graph reads alive, as long as this function

    return replay


class Forms:
    """Collects the peers that work."""

    def __init__(self, progress, iterations):
        self.progress, self.iterations, self.seconds = progress, iterations, {}

    def add(self, name, prepare):
        """prepare() gives what one iteration runs."""
        try:
            run = captured(prepare(), name, self.progress)
            gpu_seconds(run, 2)
        except Exception as error:
            self.progress(f"{name}: {brief(error)}")
            return
        self.progress(f"{name}: ready")
        self.seconds[name] = lambda: gpu_seconds(run, self.iterations)


def both_passes(attention, leaves, dout):
    return lambda: torch.autograd.grad(attention(*leaves), leaves, dout)


def leaves_of(*shape):
    """q, k and v."""
    options = {"device": DEVICE, "dtype": torch.bfloat16, "requires_grad": True}
    return [torch.randn(*shape, **options) for _ in range(3)]


@functools.cache
def segment_mask(tokens):
    """The number of each token's segment, which the caller writes, and a mask function that reads
    it: one of each, so that one compilation serves all lengths."""
    numbers = torch.zeros(tokens, dtype=torch.int32, device=DEVICE)
    return numbers, lambda _batch, _head, q, k: numbers[q] == numbers[k]


@functools.cache
def compiled_flex(mode):
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=False, mode=mode)


def flex(lengths, heads, dim, block, mode):
    from torch.nn.attention.flex_attention import create_block_mask

    tokens = sum(lengths)
    numbers, same_segment = segment_mask(tokens)
    numbers.copy_(torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths)))
    mask = create_block_mask(same_segment, None, None, tokens, tokens, DEVICE, BLOCK_SIZE=block)
    leaves = leaves_of(1, heads, tokens, dim)
    attention = functools.partial(compiled_flex(mode), block_mask=mask)
    return both_passes(attention, leaves, torch.randn_like(leaves[0]))


def varlen(lengths, heads, dim, cudnn, reference):
    from torch.nn.attention import varlen as module

    tokens, longest = sum(lengths), max(lengths)
    ends = torch.tensor([0, *lengths]).cumsum(0).to(DEVICE, torch.int32)
    leaves, dout = reference

    def attention(q, k, v):
        return module.varlen_attn(q, k, v, ends, ends, longest, longest)

    if not cudnn:
        return both_passes(attention, leaves, dout)
    want = both_passes(attention, leaves, dout)()
    choice = module._should_use_cudnn

    def run():
        module._should_use_cudnn = lambda _: True
        try:
            return both_passes(attention, leaves, dout)()
        finally:
            module._should_use_cudnn = choice

    for ours, theirs in zip(want, run()):
        off = (ours - theirs).abs().max() / ours.abs().max()
        if not off < 0.05:
            raise RuntimeError(f"differs from Flash by {off:.2g} of the largest gradient")
    return run


def attention(lengths, heads, dim, progress):
    forms = Forms(progress, 20)
    leaves = leaves_of(sum(lengths), heads, dim)
    reference = leaves, torch.randn_like(leaves[0])
    forms.add("varlen_attn", lambda: varlen(lengths, heads, dim, False, reference))
    forms.add("cuDNN varlen", lambda: varlen(lengths, heads, dim, True, reference))
    forms.add("FlexAttention", lambda: flex(lengths, heads, dim, 128, None))
    tuned = "max-autotune-no-cudagraphs"
    forms.add("FlexAttention, tuned", lambda: flex(lengths, heads, dim, 64, tuned))
    return forms.seconds


def contrastive(pairs, dim, progress):
    target = torch.arange(pairs, device=DEVICE)

    def two_products(images, texts, scale):
        of_images = (scale * images @ texts.T).float()
        of_texts = (scale * texts @ images.T).float()
        return F.cross_entropy(of_images, target) + F.cross_entropy(of_texts, target)

    def one_product(images, texts, scale):
        scores = (scale * images @ texts.T).float()
        return F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)

    def prepare(loss):
        images = F.normalize(torch.randn(pairs, dim, device=DEVICE))
        texts = F.normalize(0.3 * images + 0.95 * F.normalize(torch.randn_like(images)))
        scale = torch.tensor(1 / 0.07, device=DEVICE)
        leaves = [t.to(torch.bfloat16).requires_grad_() for t in (images, texts, scale)]
        compiled = torch.compile(loss, dynamic=False)
        return lambda: torch.autograd.grad(compiled(*leaves) / 2, leaves)

    forms = Forms(progress, 5)
    forms.add("two products", lambda: prepare(two_products))
    forms.add("one product", lambda: prepare(one_product))
    return forms.seconds


def vit_shapes(width, depth):
    """Of the large tensors of a ViT."""
    block = [(3 * width, width), (width, width), (4 * width, width), (width, 4 * width)]
    small = [(width,), (width,), (4 * width,), (width,), (64,), (64,)]
    return [(width, 3 * 16 * 16), *depth * (block + small)]


def adamw(parameters, progress):
    def prepare(shapes):
        tensors = [0.02 * torch.randn(shape, device=DEVICE) for shape in shapes]
        for tensor in tensors:
            tensor.requires_grad_()
            tensor.grad = 1e-3 * torch.randn_like(tensor)
        optimizer = torch.optim.AdamW(
            tensors, lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True, capturable=True
        )
        return optimizer.step

    shapes = vit_shapes(768, 12)
    left = parameters - sum(math.prod(shape) for shape in shapes)
    forms = Forms(progress, 20)
    forms.add("fused, a ViT's tensors", lambda: prepare([*shapes, (left,)]))
    forms.add("fused, one tensor", lambda: prepare([(parameters,)]))
    return forms.seconds
