"""Random numbers that are pure functions of what they belong to.

The k-th number of image i is a hash of (seed, split, i, k): nothing depends on batches, workers or the machine.
"""

import numpy as np
from jaxtyping import Int
from torch import Tensor

SPLITS = {"train": 0, "val": 1, "test": 2}
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def image_keys(seed: int, split: str, indices: np.ndarray) -> np.ndarray:
    """One 64-bit key an image: a hash of (seed, split, index)."""
    with np.errstate(over="ignore"):
        key = _mix(np.array([seed], np.uint64) + GOLDEN) + np.uint64(SPLITS[split])
        return _mix(_mix(key) + (indices.astype(np.uint64) + np.uint64(1)) * GOLDEN)


class Randomness:
    """Uniform numbers for a batch of images, handed out column by column.

    The order of the calls is part of what an image is: a new call goes to the end.

    >>> Randomness(image_keys(0, "train", np.arange(4))).uniform(0, 10, 2).shape
    (4, 2)
    """

    def __init__(self, keys: np.ndarray):
        self.keys, self.drawn = keys, 0

    def uniform(self, low: float, high: float, *shape: int) -> np.ndarray:
        """Float64 numbers in [low, high), of shape (images, *shape)."""
        count = int(np.prod(shape, dtype=int))
        with np.errstate(over="ignore"):
            steps = np.arange(self.drawn + 1, self.drawn + count + 1, dtype=np.uint64) * GOLDEN
            bits = _mix(self.keys[:, None] + steps)
        self.drawn += count
        unit = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return (low + (high - low) * unit).reshape(len(self.keys), *shape)

    def choice(self, options: int, *shape: int) -> np.ndarray:
        """Whole numbers in 0 ... options - 1."""
        return self.uniform(0, options, *shape).astype(np.int64)


def hash32(numbers: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """Scramble the low 32 bits of each number, on any device.

    Kept in int64, because torch has no unsigned shift. Both multipliers stay below 2³¹, so no product overflows.
    """
    h = numbers & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    h = ((h ^ (h >> 15)) * 0x046CA68B) & 0xFFFFFFFF
    return h ^ (h >> 16)
