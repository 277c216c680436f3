"""Not one flipped bit and not one truncation of a checkpoint is ever used."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from ppresnet.checkpoint import Checkpoint, Store, read, store
from ppresnet.checkpoint.codec import Tensors
from ppresnet.errors import CheckpointError

FILES = 7


@pytest.fixture
def saved(tmp_path: Path) -> Store:
    result = Store(tmp_path)
    for step in (1, 2):
        tensors: Tensors = {"conv.w": np.full((8, 4), step, np.float32), "bn.mean": np.zeros(4, np.float16)}
        result.save(Checkpoint(tensors, tensors, tensors, {"name": "n"}, {"seed": 1}, {"step": step}), step)
    return result


@contextmanager
def damaged(path: Path, data: bytes) -> Iterator[None]:
    good = path.read_bytes()
    path.write_bytes(data)
    try:
        yield
    finally:
        path.write_bytes(good)


def assert_noticed(saved: Store) -> None:
    said: list[str] = []
    with pytest.raises(CheckpointError):
        read(saved.path(2))
    assert saved.latest(said.append) == saved.path(1)
    assert len(said) == 1
    assert "step-00000002 refused" in said[0]


@pytest.fixture
def never_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "decode", lambda contents: pytest.fail("damaged bytes were parsed"))


@pytest.mark.usefixtures("never_parsed")
def test_a_thousand_flipped_bits(saved: Store) -> None:
    rng = random.Random(20)
    paths = sorted(saved.path(2).iterdir())
    assert len(paths) == FILES
    for number in range(1000):
        path = paths[number % FILES]
        data = bytearray(path.read_bytes())
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        with damaged(path, bytes(data)):
            assert_noticed(saved)
    assert saved.latest(pytest.fail) == saved.path(2)


@pytest.mark.usefixtures("never_parsed")
def test_a_hundred_truncations(saved: Store) -> None:
    rng = random.Random(21)
    paths = sorted(saved.path(2).iterdir())
    for number in range(100):
        path = paths[number % FILES]
        data = path.read_bytes()
        with damaged(path, data[: rng.randrange(len(data))]):
            assert_noticed(saved)
    assert saved.latest(pytest.fail) == saved.path(2)


def test_safetensors_alone_does_not_notice(saved: Store) -> None:
    """The reason for the manifest; should this ever fail, safetensors has learnt to check."""
    data = bytearray((saved.path(2) / "weights.safetensors").read_bytes())
    data[-1] ^= 0x40
    assert safetensors.numpy.load(bytes(data)).keys() == {"conv.w", "bn.mean"}
