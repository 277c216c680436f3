"""Time the matrix products of ResNets on MKL alone: `python probe.py LIBRARY`.

A program of its own, which imports neither Paddle nor the rest of `ppresnet`: a kernel that the CPU cannot run kills
its process. It calls the wheel's own MKLML through ctypes, which takes half a second, where importing Paddle takes
several. MKL_DEBUG_CPU_TYPE and OMP_NUM_THREADS in its environment are what it measures.
"""

import ctypes
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MKL_VARIABLE = "MKL_DEBUG_CPU_TYPE"
THREADS_VARIABLE = "OMP_NUM_THREADS"

# Paddle multiplies [out, in * k * k] by [in * k * k, h * w] image by image. First the three stages of ResNet-20 at
# 32 x 32, then a layer of each stage of ResNet-50 at 224 x 224, 3 x 3 and 1 x 1 in turn.
CONVOLUTIONS = (
    (16, 144, 1024), (32, 288, 256), (64, 576, 64),
    (64, 576, 3136), (512, 128, 784), (256, 2304, 196), (2048, 512, 49),
)  # fmt: skip
PRODUCTS = len(CONVOLUTIONS) * 3
PASSES, PRODUCT_S = 6, 0.001
_ROW_MAJOR, _PLAIN, _TRANSPOSED = 101, 111, 112


@dataclass(frozen=True)
class _Product:
    """One call of sgemm, `c = a b`, with either side stored transposed."""

    a: np.ndarray[Any, np.dtype[np.float32]]
    b: np.ndarray[Any, np.dtype[np.float32]]
    c: np.ndarray[Any, np.dtype[np.float32]]
    turned: tuple[bool, bool]

    def run(self, sgemm: Any) -> None:
        """Call cblas_sgemm."""
        (rows, columns), inner = self.c.shape, self.a.shape[0 if self.turned[0] else 1]
        sides = (_TRANSPOSED if turned else _PLAIN for turned in self.turned)
        a, b, c = (ctypes.c_void_p(matrix.ctypes.data) for matrix in (self.a, self.b, self.c))
        one, zero, strides = ctypes.c_float(1), ctypes.c_float(0), (self.a.shape[1], self.b.shape[1], columns)
        sgemm(_ROW_MAJOR, *sides, rows, columns, inner, one, a, strides[0], b, strides[1], zero, c, strides[2])

    def error(self) -> float:
        """Return the relative difference of `c` from the product in float64."""
        a, b = (x.T if turned else x for x, turned in zip((self.a, self.b), self.turned, strict=True))
        exact = a.astype(np.float64) @ b.astype(np.float64)
        return float(np.abs(self.c - exact).max() / np.abs(exact).max())


def _products() -> Iterator[_Product]:
    rng = np.random.default_rng(0)
    for out, inner, pixels in CONVOLUTIONS:
        weight, columns, gradient = (
            rng.uniform(-1, 1, shape).astype(np.float32) for shape in ((out, inner), (inner, pixels), (out, pixels))
        )
        for a, b, turned, shape in (
            (weight, columns, (False, False), (out, pixels)),
            (gradient, columns, (False, True), (out, inner)),
            (weight, gradient, (True, False), (inner, pixels)),
        ):
            yield _Product(a, b, np.full(shape, np.nan, np.float32), turned)


def _time(product: _Product, sgemm: Any) -> float:
    best, spent = float("inf"), 0.0
    while spent < PRODUCT_S:
        start = time.perf_counter()
        product.run(sgemm)
        took = time.perf_counter() - start
        best, spent = min(best, took), spent + took
    return best


def main(library: str) -> None:
    """Time every product and print the seconds, the share of CPU time had and the largest error as JSON."""
    # The wheel's MKLML has no run path, so its OpenMP must be loaded by name first.
    ctypes.CDLL(str(Path(library).with_name("libiomp5.so")), mode=ctypes.RTLD_GLOBAL)
    sgemm = ctypes.CDLL(library).cblas_sgemm
    products = list(_products())
    wall, cpu = time.perf_counter(), time.process_time()
    # Passes far apart in time, because a disturbance outlasts many runs of a small product.
    passes = [[_time(product, sgemm) for product in products] for _ in range(PASSES)]
    wanted = (time.perf_counter() - wall) * int(os.environ[THREADS_VARIABLE])
    share = (time.process_time() - cpu) / wanted
    seconds = [min(times) for times in zip(*passes, strict=True)]
    print(json.dumps({"seconds": seconds, "share": share, "error": max(product.error() for product in products)}))


if __name__ == "__main__":
    main(sys.argv[1])
