"""Blocks with identity skips one behind another: to the bit what each gives alone, with less moved about."""

from collections.abc import Callable
from typing import Any

import numpy as np
import paddle
import pytest
from fused_blocks import block_of, image_of, run
from paddle import Tensor, nn

from ppresnet import models
from ppresnet.layers import BasicBlock, Bottleneck, CifarStem, ConvNorm, IdentitySkip, Residual, Stage, basic_branch
from ppresnet.onednn import Kernels, Library
from ppresnet.onednn.api import BFLOAT16

STAGES: dict[str, Callable[[], list[Residual]]] = {
    "basic": lambda: [BasicBlock(16, (16, 16), "identity") for _ in range(3)],
    "basic, after zero_pad": lambda: [
        BasicBlock(8, (16, 16), "zero_pad", stride=2),
        *(BasicBlock(16, (16, 16), "identity") for _ in range(2)),
    ],
    "basic, pruned": lambda: [BasicBlock(32, (inner, 32), "identity") for inner in (5, 16, 23, 16)],
    "bottleneck, after projection": lambda: [
        Bottleneck(16, (8, 8, 32), "projection", stride=2),
        *(Bottleneck(32, (8, 8, 32), "identity") for _ in range(3)),
    ],
    "bottleneck, groups": lambda: [Bottleneck(32, (16, 16, 32), "identity", groups=4) for _ in range(2)],
}


def stage_of(name: str) -> Stage:
    return Stage(*(block_of(lambda block=block: block) for block in STAGES[name]()))  # type: ignore[misc]


def chains(kernels: Kernels) -> int:
    return sum(shape[0] == "chain" for shape, *_ in kernels.cache._values)


@pytest.mark.parametrize("name", STAGES)
def test_stage_equals_its_blocks_to_the_bit(fused: Kernels, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    stage = stage_of(name)
    start = {key: value.numpy() for key, value in stage.state_dict().items()}
    together = run(stage, image_of(stage[0]), stage)
    assert chains(fused) == 1
    stage.set_state_dict(start)
    monkeypatch.setattr(Kernels, "run_stage", lambda *_: None)
    apart = run(stage, image_of(stage[0]), stage)
    assert [one.tobytes() for one in together] == [one.tobytes() for one in apart]


def opened(stage: Stage, stem: ConvNorm) -> tuple[nn.Layer, Callable[[Tensor], Tensor]]:
    """Both as one layer, and a forward that gives the stem to the stage."""
    return nn.Sequential(stem, stage), lambda image: stage(image, before=stem)


def test_unit_before_a_stage_gives_its_layout_at_once_and_the_same_bits(fused: Kernels) -> None:
    both, forward = opened(stage_of("basic"), CifarStem(3, 16, "relu"))
    image = np.random.default_rng(1).standard_normal((3, 3, 9, 12)).astype("float32")
    start = {key: value.numpy() for key, value in both.state_dict().items()}
    together = run(both, image, forward)
    assert [shape[1] is not None for shape, *_ in fused.cache._values if shape[0] == "chain"] == [True]
    both.set_state_dict(start)
    apart = run(both, image, both)
    assert [one.tobytes() for one in together] == [one.tobytes() for one in apart]


def test_networks_give_their_stem_to_the_first_stage(fused: Kernels) -> None:
    models.create("cifar_resnet20", in_channels=3)(paddle.rand([2, 3, 8, 8]))
    units = [shape[1] for shape, *_ in fused.cache._values if shape[0] == "chain"]
    assert [unit is not None for unit in units] == [True, False, False]


def seen(stem: ConvNorm) -> None:
    stem.register_forward_post_hook(lambda _, inputs, output: output + 1)


def without_activation(stem: ConvNorm) -> None:
    stem.act = nn.Identity()


def with_bias(stem: ConvNorm) -> None:
    stem.conv = nn.Conv2D(3, 16, 3, padding=1)


@pytest.mark.parametrize("change", [seen, without_activation, with_bias])
def test_other_layers_before_a_stage_run_by_themselves(fused: Kernels, change: Callable[[ConvNorm], None]) -> None:
    stem = CifarStem(3, 16, "relu")
    change(stem)
    both, forward = opened(stage_of("basic"), stem)
    image = paddle.rand([2, 3, 6, 6])
    found = forward(image)
    assert all(shape[1] is None for shape, *_ in fused.cache._values if shape[0] == "chain")
    assert found.numpy().tobytes() == both(image).numpy().tobytes()


def test_frozen_parts_get_no_gradient(fused: Kernels) -> None:
    stage = stage_of("basic")
    for parameter in stage[0].parameters():
        parameter.stop_gradient = True
    source = paddle.rand([2, 16, 6, 6])
    stage(source).sum().backward()
    assert source.grad is None
    assert {name.split(".")[0] for name, one in stage.named_parameters() if one.grad is not None} == {"1", "2"}


def hooked(stage: Stage) -> Any:
    return stage[1].register_forward_post_hook(lambda _, inputs, output: output + 1)


def overridden(stage: Stage) -> None:
    class Doubling(BasicBlock):
        def forward(self, x_NCHW: Tensor) -> Tensor:
            return 2 * super().forward(x_NCHW)

    stage[1] = Doubling(16, (16, 16), "identity")


def dropping(stage: Stage) -> None:
    stage[1] = Residual(basic_branch(16, (16, 16), 1, 1, "relu"), IdentitySkip(16, 16, 1), "relu", drop_path=0.5)


def evaluated(stage: Stage) -> None:
    stage.eval()


@pytest.mark.parametrize("change", [hooked, overridden, dropping, evaluated])
def test_stages_with_something_else_run_block_by_block(fused: Kernels, change: Callable[[Stage], object]) -> None:
    stage = stage_of("basic")
    change(stage)
    source = paddle.rand([2, 16, 6, 6])
    paddle.seed(5)
    found = stage(source)
    assert chains(fused) == 0
    paddle.seed(5)
    expected = source
    for block in stage:
        expected = block(expected)
    assert found.numpy().tobytes() == expected.numpy().tobytes()


def test_channels_are_not_filled_up_between_blocks(fused: Kernels) -> None:
    Stage(*(BasicBlock(24, (24, 24), "identity") for _ in range(2)))(paddle.rand([2, 24, 6, 6]))
    assert chains(fused) == 0


@pytest.mark.parametrize("name", STAGES)
def test_bfloat16_between_blocks_is_as_close_to_float64_as_inside_them_alone(library: Library, name: str) -> None:
    kernels = Kernels(library, BFLOAT16, units=[ConvNorm], blocks=[Residual], identities=[IdentitySkip])
    stage, wide = stage_of(name), stage_of(name)
    start = {key: value.numpy() for key, value in stage.state_dict().items()}
    wide.set_state_dict(start)
    wide.to(dtype="float64")
    image = image_of(stage[0])
    expected = run(wide, image.astype("float64"), wide)

    def apart(x: Tensor) -> Tensor | None:
        for block in stage:
            x = kernels.run_block(block, x)
        return x

    errors = []
    for forward in (apart, lambda x: kernels.run_stage(stage, x)):
        stage.set_state_dict(start)
        found = run(stage, image, forward)
        assert {one.dtype.name for one in found} == {"float32"}
        norms = [
            np.linalg.norm(one - other) / np.linalg.norm(other) for one, other in zip(found, expected, strict=True)
        ]
        errors.append((norms[0], float(np.median(norms[1:]))))
    assert chains(kernels) == 1
    (alone_output, alone_rest), (output, rest) = errors
    assert output <= max(1e-2, 1.5 * alone_output) and rest <= 1.5 * alone_rest
