"""The order of images in an epoch, as a function of seed and epoch: nothing to save, any epoch can be repeated."""

import numpy as np
from numpy.typing import NDArray

# Keeps the numbers that order images apart from those that change them.
ORDER, SAMPLE = 1, 2


def order(n: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Gives the permutation of 0 ... n - 1 that belongs to (seed, epoch)."""
    return np.random.default_rng([ORDER, seed, epoch]).permutation(n)


def sample_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Gives the generator that decides all that is random about one image in one epoch.

    Philox is made for this (Salmon et al. 2011): every counter begins a stream of its own, without a costly start.
    """
    return np.random.Generator(np.random.Philox(key=(SAMPLE << 64) | seed, counter=[0, 0, epoch, index]))


def batches(
    n: int, batch_size: int, *, seed: int | None = None, epoch: int = 0, drop_last: bool = False
) -> list[NDArray[np.int64]]:
    """Cuts 0 ... n - 1 into batches of indices.

    Args:
        n: how many images there are.
        batch_size: images in a batch; the last batch has what is left.
        seed: shuffles by (seed, epoch); null keeps the images in order.
        epoch: which epoch's order.
        drop_last: leaves out a last batch that is not full.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; expected at least 1")
    indices = np.arange(n, dtype=np.int64) if seed is None else order(n, seed, epoch)
    end = n - n % batch_size if drop_last else n
    return [indices[start : min(start + batch_size, end)] for start in range(0, end, batch_size)]
