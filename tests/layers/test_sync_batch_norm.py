"""Synchronised BatchNorm in two processes against BatchNorm of the whole batch in one."""

from pathlib import Path

import bundles
import numpy as np
import paddle
import pytest
import sync_worker
from paddle import nn
from process_group import run_group

from ppresnet.layers import SyncBatchNorm2D, normalisation


@pytest.mark.parametrize("shares", [(5, 2), pytest.param((4, 4), marks=pytest.mark.slow)], ids=["unequal", "equal"])
def test_two_processes_are_one_large_batch(shares: tuple[int, int], tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    images = random.normal(3.0, 2.0, (sum(shares), 3, 9, 8)).astype(np.float32)
    images[: shares[0]] -= 5.0  # so that the processes have other statistics
    weights = random.standard_normal((sum(shares), 4, 4, 3)).astype(np.float32)
    whole = sync_worker.results(sync_worker.network(nn.BatchNorm2D), images, weights)
    inputs, outputs = ([tmp_path / f"{kind}{rank}.npz" for rank in (0, 1)] for kind in ("in", "out"))
    for path, part, given in zip(inputs, np.split(images, [shares[0]]), np.split(weights, [shares[0]]), strict=True):
        np.savez(path, images=part, weights=given)
    run_group(Path(sync_worker.__file__), list(zip(inputs, outputs, strict=True)))
    first, second = (dict(np.load(path)) for path in outputs)
    assert first.keys() == whole.keys()
    for name, expected in whole.items():
        if name in ("output", "images"):
            found = np.concatenate([first[name], second[name]])
        elif name.endswith("grad"):
            found = first[name] + second[name]
        else:
            found = first[name]
            np.testing.assert_array_equal(found, second[name])
        # A bias before a normalisation has no gradient but rounding: it is compared with the size of the others.
        assert np.abs(found - expected).max() <= 1e-5 * max(np.abs(expected).max(), 1.0), name


def test_one_process_is_batch_norm_to_the_bit() -> None:
    images = np.random.default_rng(2).standard_normal((4, 3, 9, 8)).astype(np.float32)
    weights = np.random.default_rng(3).standard_normal((4, 4, 4, 3)).astype(np.float32)
    expected = sync_worker.results(sync_worker.network(nn.BatchNorm2D), images, weights)
    found = sync_worker.results(sync_worker.network(SyncBatchNorm2D), images, weights)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_it_exports_as_batch_norm(tmp_path: Path) -> None:
    net = sync_worker.network(SyncBatchNorm2D)
    net.eval()
    program = bundles.save_programs(net, tmp_path, formats=["pdmodel"]) / "inference.pdmodel"
    operators = [prefixed(name) for name in ("batch_norm", "sync_batch_norm")]
    assert [program.read_bytes().count(operator) for operator in operators] == [2, 0]


def prefixed(operator: str) -> bytes:
    """The type of an operator as it stands in a program: field 3 of its message, with its length."""
    return bytes([3 << 3 | 2, len(operator)]) + operator.encode()


def test_its_name_gives_it() -> None:
    assert isinstance(normalisation("sync_batch", 4), SyncBatchNorm2D)


def test_paddles_own_still_has_no_kernel_for_the_cpu() -> None:
    layer = nn.SyncBatchNorm(4)
    with pytest.raises((RuntimeError, NotImplementedError), match="sync_batch_norm"):
        layer(paddle.zeros([2, 4, 3, 3]))
