"""A state that was restored is there to be saved again before the next step: Paddle 2.6.2 forgets it until then."""

import numpy as np
import paddle
import pytest
from paddle import nn

from ppresnet.config import OptimConfig
from ppresnet.train.optim import build_optimizer, optimizer_state, restore_optimizer


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_saving_right_after_restoring_gives_the_same_state(name: str) -> None:
    config = OptimConfig(name=name)
    trained = nn.Linear(3, 2)
    optimizer = build_optimizer(config, trained)
    trained(paddle.ones([4, 3])).sum().backward()
    optimizer.step()
    state = optimizer_state(optimizer, trained)
    fresh = nn.Linear(3, 2)
    restored = build_optimizer(config, fresh)
    restore_optimizer(restored, fresh, state)
    again = optimizer_state(restored, fresh)
    assert state.keys() == again.keys() != set()
    for key, array in state.items():
        np.testing.assert_array_equal(array, again[key])
