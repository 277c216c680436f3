"""Every name of the family learns: narrow versions with two blocks a stage, said so by their spec."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from fixed_batch import both_answers, losses
from narrow import narrow

from ppresnet.models import build
from ppresnet.spec import MODELS, ResNetSpec, spec_of

NAMES = [name for name in MODELS if isinstance(spec_of(name), ResNetSpec)]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_twenty_steps_halve_the_loss_and_a_checkpoint_keeps_the_answer(name: str, tmp_path: Path) -> None:
    size = 16 if name.startswith("cifar_") else 64
    paddle.seed(5)
    net = build(narrow(name))
    course = losses(net, size)
    assert course[-1] <= course[0] / 2, course
    np.testing.assert_array_equal(*both_answers(net, size, tmp_path))
