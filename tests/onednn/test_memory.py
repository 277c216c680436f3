"""What the kernels hold is bounded, and given back."""

import gc
import random

import paddle
import pytest
from paddle import nn
from resident import resident_mb

from ppresnet.layers import BasicBlock, ConvNorm
from ppresnet.onednn import Kernels, Library
from ppresnet.onednn.session import Session


def alive(library: Library, kind: str) -> int:
    return library.created[kind] - library.destroyed[kind]


def step(kernels: Kernels, layers: list[nn.Layer], shape: list[int]) -> None:
    source = paddle.rand(shape)
    source.stop_gradient = False
    convolution, norm, unit, block = layers
    result = kernels.run_unit(unit, kernels.normalise(norm, kernels.convolve(convolution, source)))
    result = kernels.run_block(block, kernels.rectify(nn.ReLU(), result))
    result.mean().backward()


def layers_of(channels: int) -> list[nn.Layer]:
    unit, block = ConvNorm(16, 8, 1, act="relu"), BasicBlock(8, (8, 16), "zero_pad", stride=2)
    return [nn.Conv2D(channels, 16, 3, padding=1), nn.BatchNorm2D(16), unit, block]


def train(kernels: Kernels, steps: int, seed: int) -> None:
    """Train on an image of another shape in each step."""
    draw = random.Random(seed)
    layers = {channels: layers_of(channels) for channels in (3, 8, 16)}
    for _ in range(steps):
        channels = draw.choice(list(layers))
        step(kernels, layers[channels], [draw.randint(1, 4), channels, draw.randint(2, 24), draw.randint(2, 24)])


def test_what_is_created_is_destroyed(library: Library) -> None:
    kernels = Kernels(library, units=[ConvNorm], capacity=9)
    train(kernels, 3, seed=0)
    most = alive(library, "primitive")
    assert most > 9
    train(kernels, 40, seed=1)
    assert len(kernels.cache) == 9
    gc.collect()
    assert alive(library, "primitive") <= 1.5 * most
    assert library.created["primitive"] > 10 * most
    del kernels
    gc.collect()
    assert {kind: alive(library, kind) for kind in library.created if alive(library, kind)} == {
        "engine": 1,
        "primitive_attr": 1,
    }


def test_scratch_memory_is_one_block_as_large_as_needed(library: Library) -> None:
    session = Session(library)
    for _ in range(3):
        session.begin()
        addresses = [session.take(size) for size in (1000, 5000, 70)]
        assert all(address % 64 == 0 for address in addresses)
        for one, other, size in zip(addresses, addresses[1:], (1000, 5000), strict=False):
            assert other >= one + size or other < one
    assert len(session._blocks) == 1
    assert 6070 <= len(session._blocks[0]) < 8000
    session.begin()
    taken = session.take(1000)
    assert taken + 1000 <= session.borrow(10) < taken + 6070


@pytest.mark.slow(drawn=False)  # compiles some 100,000 primitives
def test_ten_thousand_steps_with_changing_shapes_do_not_grow(library: Library) -> None:
    kernels = Kernels(library, units=[ConvNorm], capacity=64)
    train(kernels, 2000, seed=0)  # oneDNN itself keeps the code of 1024 primitives
    before = resident_mb()
    train(kernels, 8000, seed=1)
    gc.collect()
    assert resident_mb() < before + 32
    assert len(kernels.cache) == 64
    del kernels
    gc.collect()
    assert library.created["primitive"] == library.destroyed["primitive"] > 100_000
