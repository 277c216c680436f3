"""Networks of continuous depth: counts by hand, evaluations, learning, saving, and what is refused."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from counted import counted
from fixed_batch import batch, both_answers, losses
from relative import difference

from ppresnet.errors import ConfigError
from ppresnet.export.freeze import freeze
from ppresnet.layers.ode import evaluations
from ppresnet.models import build, cost, create
from ppresnet.spec import AdaptiveSpec, EntrySpec, FixedStepsSpec, ODENetSpec, ODEStageSpec, spec_from_dict, spec_of

BOTH = ("cifar_odenet", "cifar_odenet_dopri5")


def small(solver: FixedStepsSpec | AdaptiveSpec, **fields: object) -> ODENetSpec:
    entry = EntrySpec(widths=(6, 12), skip="projection", stride=2)
    stages = (ODEStageSpec(hidden=10), ODEStageSpec(hidden=4, entry=entry))
    plain = {"name": "small", "num_classes": 5, "input_size": 8, "stem": 8} | fields
    return ODENetSpec(stages=stages, solver=solver, **plain)


def test_counts_by_hand() -> None:
    params = 9 * 3 * 16 + 2 * 16 + 64 * 10 + 10
    macs = 9 * 3 * 16 * 32**2 + 64 * 10
    for before, width, size in ((16, 16, 32), (16, 32, 16), (32, 64, 8)):
        if before != width:
            params += 9 * (before + width) * width + 4 * width
            macs += 9 * (before + width) * width * size**2
        params += 2 * 9 * width**2 + 2 * width + 2 * width + 6 * width  # kernels, biases, their slopes, normalisations
        macs += 8 * 2 * 9 * width**2 * size**2  # RK4, two steps
    for name in BOTH:
        assert (cost(spec_of(name)).params, cost(spec_of(name)).macs) == (params, macs)


@pytest.mark.parametrize("solver", [FixedStepsSpec(kind="euler", steps=3), FixedStepsSpec(steps=1), FixedStepsSpec()])
def test_cost_equals_a_count_by_running(solver: FixedStepsSpec) -> None:
    spec = small(solver)
    price = cost(spec, 9)
    assert (price.params, price.macs) == counted(build(spec), 9, 9)


def test_the_cost_of_an_adaptive_solver_is_that_of_one_step() -> None:
    net = build(small(AdaptiveSpec(rtol=1e3, atol=1e3)))
    net.eval()
    for norm in (block.function.norm3 for stage in net.stages for block in stage if hasattr(block, "function")):
        norm.weight.set_value(norm.weight * 0.1)  # a slope that no step can be too long for
    net(batch(net, 8)[0])
    assert [found.forward for found in evaluations(net).values()] == [8, 8]
    assert cost(net.spec, 9) == cost(small(FixedStepsSpec(steps=2)), 9)


@pytest.mark.parametrize("backward", ["autograd", "adjoint"])
@pytest.mark.parametrize(
    "solver", [FixedStepsSpec(), FixedStepsSpec(kind="euler", steps=4), AdaptiveSpec()], ids=lambda solver: solver.kind
)
def test_twenty_steps_halve_the_loss_and_a_checkpoint_keeps_the_answer(
    solver: FixedStepsSpec | AdaptiveSpec, backward: str, tmp_path: Path
) -> None:
    paddle.seed(5)
    net = build(small(solver, backward=backward))
    course = losses(net, 8)
    assert course[-1] <= course[0] / 2, course
    found = evaluations(net)
    assert list(found) == ["stages.0.0", "stages.1.1"]
    np.testing.assert_array_equal(*both_answers(net, 8, tmp_path))


def test_both_networks_of_the_zoo_take_the_same_weights_and_answer_alike() -> None:
    paddle.seed(5)
    fixed, adaptive = (create(name, num_classes=5) for name in BOTH)
    adaptive.set_state_dict(fixed.state_dict())
    assert set(adaptive.state_dict()) == set(fixed.state_dict())
    fixed.eval()
    adaptive.eval()
    images, _ = batch(fixed, 8)
    with paddle.no_grad():
        assert 0 < difference(fixed(images).numpy(), adaptive(images).numpy()) < 0.1


def test_zero_init_gamma_starts_every_integral_at_zero() -> None:
    net = build(small(FixedStepsSpec(), zero_init_gamma=True))
    x = paddle.randn([2, 8, 5, 5])
    np.testing.assert_array_equal(net.stages[0](x).numpy(), x.numpy())


@pytest.mark.parametrize("norm", ["batch", "sync_batch"])
def test_statistics_of_the_batch_are_refused(norm: str) -> None:
    with pytest.raises(ConfigError, match=f"model.norm: .*expected group or layer, found {norm}"):
        spec_of("cifar_odenet", norm=norm)


def test_the_adaptive_solver_is_refused_at_export_by_name(tmp_path: Path) -> None:
    net = build(small(AdaptiveSpec()))
    net.eval()
    with pytest.raises(ConfigError, match=r"stages\.0\.0: the solver dopri5 .*choose the solver rk4 or euler"):
        freeze(net, tmp_path, (3, 8, 8), ["pdmodel"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", BOTH)
def test_spec_survives_json(name: str) -> None:
    spec = spec_of(name, num_classes=3)
    assert spec_from_dict(spec.model_dump(mode="json")) == spec
