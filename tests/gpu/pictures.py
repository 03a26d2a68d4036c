"""A data set that a small pair of towers learns within a hundred steps: striped pictures of every
size, whose captions say the two colours, the direction and the width of the stripes."""
import random
import struct
import zlib

from data import write_shard

COLOURS = {
    "black": (16, 16, 16),
    "blue": (32, 64, 224),
    "brown": (128, 80, 32),
    "cyan": (32, 208, 208),
    "green": (32, 160, 64),
    "grey": (128, 128, 128),
    "orange": (240, 144, 32),
    "pink": (240, 144, 192),
    "purple": (128, 32, 160),
    "red": (224, 32, 32),
    "white": (240, 240, 240),
    "yellow": (240, 224, 64),
}
WIDTHS = {"thin": 4, "broad": 16}


def striped_png(width, height, colours, stripe, across):
    """An RGB PNG of stripes of two colours, `stripe` pixels wide, across (horizontal) or upright."""

    def colour(at):
        return bytes(colours[at // stripe % 2])

    if across:
        rows = b"".join(b"\0" + colour(y) * width for y in range(height))
    else:
        rows = (b"\0" + b"".join(colour(x) for x in range(width))) * height

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 1))
        + chunk(b"IEND", b"")
    )


def make_samples(count, seed):
    draw = random.Random(seed)
    samples = []
    for i in range(count):
        first, second = draw.sample(sorted(COLOURS), 2)
        width, across = draw.choice(sorted(WIDTHS)), draw.random() < 0.5
        image = striped_png(
            draw.randint(48, 160),
            draw.randint(48, 160),
            (COLOURS[first], COLOURS[second]),
            WIDTHS[width],
            across,
        )
        caption = "{} {} stripes of {} on {}".format(
            width, "level" if across else "upright", second, first
        )
        samples.append(("{:06d}".format(i), {"png": image, "txt": caption.encode()}))
    return samples


def make_dataset(folder, samples=3000, shards=4, heldout=200):
    """Writes train and held-out shards; returns their patterns."""
    train = make_samples(samples, 1)
    for s in range(shards):
        write_shard(folder / "train-{:05d}.tar".format(s), train[s::shards])
    write_shard(folder / "heldout-00000.tar", make_samples(heldout, 2))
    return str(folder / "train-*.tar"), str(folder / "heldout-*.tar")
