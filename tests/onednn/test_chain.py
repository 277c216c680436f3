"""Blocks with identity skips one behind another: to the bit what each gives alone, with less moved about."""

from collections.abc import Callable
from typing import Any

import paddle
import pytest
from fused_blocks import block_of, image_of, run
from paddle import Tensor

from ppresnet.layers import BasicBlock, Bottleneck, ConvNorm, IdentitySkip, Residual, Stage, basic_branch
from ppresnet.onednn import Kernels, Library
from ppresnet.onednn.api import BFLOAT16, FLOAT32

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


def test_bfloat16_goes_block_by_block(library: Library) -> None:
    for compute in (BFLOAT16, FLOAT32):
        kernels = Kernels(library, compute, units=[ConvNorm], blocks=[Residual], identities=[IdentitySkip])
        found = kernels.run_stage(stage_of("basic"), paddle.rand([2, 16, 6, 6]))
        assert (found is None) is (compute == BFLOAT16)
