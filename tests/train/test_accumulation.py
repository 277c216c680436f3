"""Accumulated batches against one large batch, through real steps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import paddle
import pytest
import rank_worker
from relative import difference

from ppresnet.config import from_dict
from ppresnet.data import Samples, open_split, preprocess_of
from ppresnet.train.ranks import ALONE


def after_a_step(sizes: Sequence[int], **sections: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients, the running means, and loss and hits of one step over the first digits, in such batches."""
    config = from_dict({"model": {"norm": "group"}, **sections})
    samples = Samples(open_split(config.data, "train", in_channels=1, num_classes=10), preprocess_of(config.data, 1))
    step, recorder = rank_worker.step_of(config, ALONE)
    verdict, seen = step.run(rank_worker.group(samples, sizes, ALONE), 0, 0, 0.1)
    assert verdict == "go"
    means = [np.asarray(one).ravel() for name, one in step.model.state_dict().items() if name.endswith("_mean")]
    gradients = np.concatenate([gradient.ravel() for gradient in recorder.gradients.values()])
    return gradients, np.concatenate([*means, [0.0]]), np.array([seen.loss_sum / seen.count, seen.correct, seen.count])


@pytest.mark.parametrize(
    "sizes", [(32, 32, 32, 32), (32, 32, 20), (32, 1)], ids=["4 x 32", "a short last batch", "a last batch of one"]
)
def test_accumulation_is_the_large_batch(sizes: tuple[int, ...]) -> None:
    parts, _, seen = after_a_step(sizes, train={"label_smoothing": 0.1})
    whole, _, expected = after_a_step([sum(sizes)], train={"label_smoothing": 0.1})
    assert np.abs(whole).max() > 0.01
    assert difference(parts, whole) < 1e-6
    np.testing.assert_allclose(seen, expected, rtol=1e-6)


def test_batch_norm_sees_each_batch_by_itself() -> None:
    parts, moved, _ = after_a_step((16, 16), model={"norm": "batch"})
    whole, once, _ = after_a_step((32,), model={"norm": "batch"})
    assert difference(parts, whole) > 1e-3
    assert difference(moved, once) > 0.1  # the running statistics move once for each batch


def test_recompute_moves_statistics_once_for_each_accumulated_batch() -> None:
    batch = {"model": {"norm": "batch", "dropout": 0.2, "drop_path": 0.2}}
    found = []
    for every in (0, 2):
        paddle.seed(5)
        found.append(after_a_step((16, 16), **batch, recompute={"every": every}))
    for again, plain in zip(*found, strict=True):
        np.testing.assert_array_equal(again, plain)
