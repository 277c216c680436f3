"""SE-ResNets and ResNeXt-29, as members of the residual family: widths, learning and saving."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from fixed_batch import both_answers, losses
from narrow import narrow

from ppresnet.layers import SqueezeExcite
from ppresnet.models import build
from ppresnet.spec import spec_of

SIZES = {
    "seresnet18": 64,
    "seresnet34": 64,
    "seresnet50": 64,
    "seresnet101": 64,
    "seresnet152": 64,
    "seresnext50_32x4d": 64,
    "cifar_resnext29_8x64d": 16,
    "cifar_resnext29_16x64d": 16,
}


@pytest.mark.parametrize(
    ("name", "reduced"), [("seresnet18", (8, 8, 16, 32)), ("seresnext50_32x4d", (16, 32, 64, 128))]
)
def test_the_reduction_is_a_sixteenth_and_at_least_eight(name: str, reduced: tuple[int, ...]) -> None:
    spec = spec_of(name)
    assert [{block.se for block in stage} for stage in spec.stages] == [{width} for width in reduced]


def test_every_block_of_an_se_resnet_has_its_gate_and_no_other_network_has_one() -> None:
    assert sum(isinstance(layer, SqueezeExcite) for layer in build(narrow("seresnet34")).sublayers()) == 8
    assert not any(isinstance(layer, SqueezeExcite) for layer in build(narrow("resnet34")).sublayers())


@pytest.mark.parametrize("name", list(SIZES))
def test_twenty_steps_halve_the_loss_and_a_checkpoint_keeps_the_answer(name: str, tmp_path: Path) -> None:
    paddle.seed(5)
    net = build(narrow(name))
    course = losses(net, SIZES[name])
    assert course[-1] <= course[0] / 2, course
    np.testing.assert_array_equal(*both_answers(net, SIZES[name], tmp_path))
