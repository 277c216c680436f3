"""Gradient norms of parts against numpy in double precision."""

import numpy as np
import paddle
import pytest

from ppresnet.models import create, freeze
from ppresnet.train.monitors.gradient_norms import GradientNorms, gradient_norms
from ppresnet.train.monitors.parts import part_of


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("stages.1.0.branch.0.conv.weight", "stages.1"),
        ("stem.conv.weight", "stem"),
        ("head.fc.weight", "head"),
        ("transitions.2.conv.weight", "transitions.2"),
        ("fc", "fc"),
    ],
)
def test_parts_are_stages_and_what_is_around_them(name: str, part: str) -> None:
    assert part_of(name) == part


def test_norms_are_those_of_numpy_when_they_are_due() -> None:
    paddle.seed(1)
    model, told = create("cifar_resnet20"), []
    freeze(model, 0)
    norms = GradientNorms(model, 3, lambda *numbers: told.append(numbers))
    assert gradient_norms(model) == {}
    model(paddle.randn([2, model.spec.in_channels, 8, 8])).square().sum().backward()
    for step in range(1, 7):
        norms.on_step(step)
    assert [(kind, step) for kind, step, _ in told] == [("gradient_norm", 3), ("gradient_norm", 6)]
    squares: dict[str, float] = {}
    for name, parameter in model.named_parameters():
        if not name.startswith("stem.") and not name.endswith(("_mean", "_variance")):
            part = ".".join(name.split(".")[: 2 if name.startswith("stages") else 1])
            squares[part] = squares.get(part, 0.0) + float(np.square(parameter.grad.numpy().astype(np.float64)).sum())
    squares["all"] = sum(squares.values())
    found = told[0][2]
    assert set(found) == set(squares) == {"stages.0", "stages.1", "stages.2", "head", "all"}
    for part, square in squares.items():
        assert found[part] == pytest.approx(square**0.5, rel=1e-6)
