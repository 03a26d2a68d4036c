"""Small data sets and job specs for the cluster tests."""
import io
import json
import pathlib
import random
import struct
import tarfile
import zlib


def png(width, height, colour):
    """An RGB PNG of one colour with a diagonal, so that patches differ."""
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            rows += bytes(255 - c for c in colour) if (x + y) % 7 == 0 else bytes(colour)

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(rows), 1))
        + chunk(b"IEND", b"")
    )


def write_shard(path, samples):
    """Writes a WebDataset shard of (key, {extension: bytes})."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, members in samples:
            for extension, data in members.items():
                info = tarfile.TarInfo("{}.{}".format(key, extension))
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path


def make_samples(count, seed=1, largest=96):
    """`count` captioned images of every size and aspect ratio."""
    draw = random.Random(seed)
    samples = []
    for i in range(count):
        colour = tuple(draw.randrange(256) for _ in range(3))
        image = png(draw.randint(8, largest), draw.randint(8, largest), colour)
        caption = "picture {} of {:02x}{:02x}{:02x}".format(i, *colour)
        samples.append(("{:06d}".format(i), {"png": image, "txt": caption.encode()}))
    return samples


def make_dataset(folder, samples=240, shards=3, heldout=24):
    """Writes train and held-out shards; returns their patterns."""
    folder = pathlib.Path(folder)
    every = make_samples(samples + heldout)
    train = every[:samples]
    for s in range(shards):
        write_shard(folder / "train-{:05d}.tar".format(s), train[s::shards])
    write_shard(folder / "heldout-00000.tar", every[samples:])
    return str(folder / "train-*.tar"), str(folder / "heldout-*.tar")


def tiny_job(name, data, checkpoints, steps=12, **changes):
    """A job of the smallest model over `data` (a pair of patterns); `changes` replace sections."""
    train, heldout = data
    size = {"width": 32, "depth": 1, "mlp_dim": 64, "heads": 2}
    spec = {
        "name": name,
        "data": {"train": [{"shards": train}], "validation": [{"shards": heldout}]},
        "resolution": {"distribution": "uniform", "min_pixels": 24, "max_pixels": 80},
        "token_drop": {"kind": "beta", "mean": 0.3, "max": 0.6},
        "packing": {
            "sequence_length": 64,
            "sequences_per_step": 5,
            "window_samples": 64,
            "windows_per_group": 2,
        },
        "model": {
            "image": {"preset": "mu", "size": size, "patch_size": 8},
            "text": {"preset": "mu", "size": size, "max_tokens": 24},
        },
        "train_for": {"steps": steps},
        "workers": {"trainers": {"min": 2, "max": 2}, "packers": {"min": 1, "max": 8}},
        "evaluation": {"token_budgets": [32]},
        "checkpoints": {"directory": str(checkpoints), "every_steps": 5},
        "timeouts": {
            "heartbeat_seconds": 2,
            "lease_seconds": 3,
            "collective_seconds": 20,
            "coordinator_grace_seconds": 120,
        },
    }
    spec.update(changes)
    return json.loads(json.dumps(spec))
