"""A residual block run as one: against Paddle's own in float64, and against its units to the bit."""

from collections.abc import Callable

import paddle
import pytest
from fused_blocks import MAKERS, block_of, image_of, run
from paddle import nn
from relative import difference
from resident import resident_mb

from ppresnet import onednn
from ppresnet.layers import BasicBlock, ConvNorm, IdentitySkip, Residual, basic_branch
from ppresnet.onednn import Kernels, Library
from ppresnet.onednn.api import BFLOAT16, FLOAT32


@pytest.mark.parametrize("name", MAKERS)
def test_block_equals_paddles_own_in_float64(library: Library, name: str) -> None:
    kernels, block, wide = Kernels(library, units=[ConvNorm]), block_of(MAKERS[name]), block_of(MAKERS[name])
    wide.to(dtype="float64")
    image = image_of(block)
    found = run(block, image, lambda x: kernels.run_block(block, x))
    expected = run(wide, image.astype("float64"), wide)
    assert len(found) == len(expected) > 9
    for one, other in zip(found, expected, strict=True):
        assert difference(one, other) <= 1e-5


@pytest.mark.parametrize("frozen", [slice(None), slice(1)], ids=["all", "first"])
@pytest.mark.parametrize("name", ["basic, projection", "bottleneck, groups"])
def test_frozen_statistics_are_used_and_stay(library: Library, name: str, frozen: slice) -> None:
    kernels, block, wide = Kernels(library, units=[ConvNorm]), block_of(MAKERS[name]), block_of(MAKERS[name])
    wide.to(dtype="float64")
    for norm in [unit.norm for one in (block, wide) for unit in one.branch[frozen]]:
        norm._use_global_stats = True
        norm._mean.set_value(paddle.linspace(-0.5, 0.5, norm._mean.size, norm._mean.dtype))
        norm._variance.set_value(paddle.linspace(0.5, 1.5, norm._mean.size, norm._mean.dtype))
    before = [unit.norm._mean.numpy() for unit in block.branch[frozen]]
    image = image_of(block)
    found = run(block, image, lambda x: kernels.run_block(block, x))
    for one, other in zip(found, run(wide, image.astype("float64"), wide), strict=True):
        assert difference(one, other) <= 1e-5
    assert all((unit.norm._mean.numpy() == kept).all() for unit, kept in zip(block.branch[frozen], before, strict=True))


@pytest.mark.parametrize("compute", [FLOAT32, BFLOAT16])
@pytest.mark.parametrize("name", MAKERS)
def test_block_equals_its_units_to_the_bit(library: Library, name: str, compute: int) -> None:
    kernels = Kernels(library, compute, [ConvNorm])

    def apart(x: paddle.Tensor) -> paddle.Tensor:
        out = x
        for unit in block.branch:
            out = kernels.run_unit(unit, out)
        return nn.functional.relu(block.skip(x) + out)

    block = block_of(MAKERS[name])
    expected = run(block, image_of(block), apart)
    block = block_of(MAKERS[name])
    found = run(block, image_of(block), lambda x: kernels.run_block(block, x))
    assert [one.tobytes() for one in found] == [one.tobytes() for one in expected]


def test_frozen_parts_get_no_gradient(library: Library) -> None:
    kernels, block = Kernels(library, units=[ConvNorm]), block_of(MAKERS["basic, identity"])
    for frozen in (block.branch[0].conv.weight, block.branch[1].norm.bias):
        frozen.stop_gradient = True
    image = paddle.to_tensor(image_of(block))
    result = kernels.run_block(block, image)
    assert result is not None
    result.sum().backward()
    assert image.grad is None
    given = {name for name, one in block.named_parameters() if one.grad is not None}
    assert given == {"branch.0.norm.weight", "branch.0.norm.bias", "branch.1.conv.weight", "branch.1.norm.weight"}


def test_switch_runs_blocks_as_one(fused: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, own = [], Kernels.run_block
    monkeypatch.setattr(Kernels, "run_block", lambda *arguments: calls.append(own(*arguments)) or calls[-1])
    block = block_of(MAKERS["basic, zero_pad"])
    block(paddle.rand([2, 8, 6, 6]))
    block.eval()
    block(paddle.rand([2, 8, 6, 6]))
    assert [one is not None for one in calls] == [True, False]


@pytest.mark.parametrize("part", ["branch", "branch.0", "branch.1.norm", "act", "se", "drop_path"])
def test_parts_that_someone_watches_are_run_alone(fused: Kernels, part: str) -> None:
    block, seen = block_of(MAKERS["basic, identity"]), []
    watched = dict(block.named_sublayers())[part]
    watched.register_forward_post_hook(lambda _, inputs, output: seen.append(output.shape))
    block(paddle.rand([2, 16, 6, 6]))
    assert seen == [[2, 16, 6, 6]]


def leave_out(block: Residual) -> None:
    block.branch[1].norm = nn.Identity()


def freeze(block: Residual) -> None:
    block.branch[0].norm.eval()


def rectify_twice(block: Residual) -> None:
    block.branch[1].act = nn.ReLU()


def bend(block: Residual) -> None:
    block.branch[0].act = nn.Silu()


def bend_the_sum(block: Residual) -> None:
    block.act = nn.Silu()


@pytest.mark.parametrize("change", [leave_out, freeze, rectify_twice, bend, bend_the_sum])
def test_other_blocks_are_left_to_their_own_forward(
    library: Library, fused: Kernels, change: Callable[[Residual], None]
) -> None:
    block = block_of(MAKERS["basic, identity"])
    change(block)
    image = paddle.to_tensor(image_of(block))
    assert fused.run_block(block, image) is None
    found = block(image).numpy()
    onednn.disable()
    assert difference(found, block(image).numpy()) <= 1e-5


@pytest.mark.parametrize("settings", [{"drop_path": 0.5}, {"se": 4}])
def test_branches_with_more_than_units_are_left_to_their_own_forward(fused: Kernels, settings: dict) -> None:
    block = Residual(basic_branch(16, (16, 16), 1, 1, "relu"), IdentitySkip(16, 16, 1), "relu", **settings)
    assert fused.run_block(block, paddle.rand([2, 16, 6, 6])) is None
    assert block(paddle.rand([2, 16, 6, 6])).shape == [2, 16, 6, 6]


def test_skips_of_another_shape_are_refused_as_paddle_does(fused: Kernels) -> None:
    block = Residual(basic_branch(16, (16, 32), 1, 1, "relu"), IdentitySkip(16, 16, 1), "relu")
    with pytest.raises(ValueError, match=r"[Bb]roadcast"):
        block(paddle.rand([2, 16, 6, 6]))


def test_outputs_are_freed(library: Library) -> None:
    kernels, block = Kernels(library, units=[ConvNorm]), BasicBlock(16, (16, 16), "identity")
    image = paddle.ones([4, 16, 64, 64])  # 1 MiB
    image.stop_gradient = False
    for _ in range(3):
        kernels.run_block(block, image)
    before = resident_mb()
    for _ in range(60):
        kernels.run_block(block, image)
    assert resident_mb() < before + 100
