"""Inputs of the parity cases, equal to those of drawn.h: nothing is stored but outputs.

u(name, i) = splitmix64(fnv1a64(name) + i) >> 40, a whole number of 24 bits; real inputs are
(u / 2^23 - 1) times a power of two (plus one for gains), which float32 holds exactly.
"""
import numpy as np


def fnv1a(name: str) -> int:
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return value


def words(name: str, count: int) -> np.ndarray:
    """splitmix64 of the counters that follow the name's hash."""
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a(name)) + np.arange(count, dtype=np.uint64)
        z = z + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def reals(name: str, shape, scale: float = 1.0) -> np.ndarray:
    count = int(np.prod(shape))
    unit = (words(name, count) >> np.uint64(40)).astype(np.float64) / 2**23 - 1
    return (unit * scale).reshape(shape)


def parameter(name: str, shape) -> np.ndarray:
    """A value of every parameter, far from initial values, which hide mistakes."""
    if name.endswith("gain"):
        return 1 + reals(name, shape, 0.25)
    if name.endswith("bias"):
        return reals(name, shape, 0.125)
    if name == "loss.logit_scale":
        return 2 + reals(name, shape, 0.5)
    return reals(name, shape, 0.25)


def whole(name: str, count: int, below: int) -> np.ndarray:
    return ((words(name, count) >> np.uint64(40)) % np.uint64(below)).astype(np.int64)
