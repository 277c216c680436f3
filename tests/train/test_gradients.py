"""What a step leaves behind in gradients and running statistics, in one process."""

import numpy as np
import rank_worker
from paddle import nn

from ppresnet.data import Batch
from ppresnet.train.ranks import ALONE


def _statistics(model: nn.Layer) -> dict[str, np.ndarray]:
    buffers = model.state_dict().items()
    return {name: np.array(value) for name, value in buffers if name.endswith(("_mean", "_variance"))}


def _batch(images: np.ndarray) -> Batch:
    return Batch(images, np.arange(len(images)), np.arange(len(images)), ())


def test_a_bad_step_leaves_no_trace_in_the_running_statistics() -> None:
    step, recorder = rank_worker.step_of(rank_worker.recipe("batch", frozen=0), ALONE)
    images = np.random.default_rng(0).standard_normal((6, 1, 8, 8)).astype(np.float32)
    before = _statistics(step.model)
    assert step.run([_batch(images)], 0, 0, 0.1)[0] == "go"
    good = _statistics(step.model)
    assert any(not np.array_equal(good[name], before[name]) for name in good)
    recorder.gradients = {}
    images[2] = np.nan
    assert step.run([_batch(images)], 0, 1, 0.1)[0] == "skip"
    assert not recorder.gradients
    for name, value in _statistics(step.model).items():
        np.testing.assert_array_equal(value, good[name])
