"""Units with odd numbers of channels, filled up with zeros: nobody sees it, and oneDNN has quick kernels for them."""

import numpy as np
import paddle
import pytest
from fused_blocks import MAKERS, block_of, image_of, run
from relative import difference

from ppresnet.layers import ConvNorm
from ppresnet.onednn import Kernels, Library, block, kernels
from ppresnet.onednn.api import BFLOAT16, FLOAT32
from ppresnet.onednn.batch_norm import NormShape
from ppresnet.onednn.convolution_kernels import ConvolutionShape
from ppresnet.onednn.form import Form, Whereto
from ppresnet.onednn.unit import UnitPlan, UnitShape
from ppresnet.onednn.wide import WideUnitPlan, filled, first, unit_plan

DENSE = [name for name in MAKERS if "groups" not in name]


@pytest.fixture
def always_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    def widened(
        library: Library,
        shape: UnitShape,
        compute: int,
        before: Form | None = None,
        after: Whereto = "plain",
        widen: bool = True,
    ) -> WideUnitPlan:
        given = shape.convolution.source[1] if before is None else before.channels
        return WideUnitPlan(library, shape, compute, before, after, given)

    for module in (block, kernels):
        monkeypatch.setattr(module, "unit_plan", widened)


def unit_shape(channels: int) -> UnitShape:
    one = (1, 1)
    convolution = ConvolutionShape((4, 16, 8, 8), (channels, 16, 3, 3), False, one, one, one, one, 1)
    return UnitShape(convolution, NormShape(convolution.destination, 1e-5, relu=True))


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("name", DENSE)
@pytest.mark.usefixtures("always_wide")
def test_wide_block_equals_paddles_own_in_float64(library: Library, name: str, frozen: bool) -> None:
    kernels, narrow, wide = Kernels(library, units=[ConvNorm]), block_of(MAKERS[name]), block_of(MAKERS[name])
    wide.to(dtype="float64")
    for norm in [unit.norm for one in (narrow, wide) for unit in one.branch if frozen]:
        norm._use_global_stats = True
        norm._mean.set_value(paddle.linspace(-0.5, 0.5, norm._mean.size, norm._mean.dtype))
        norm._variance.set_value(paddle.linspace(0.5, 1.5, norm._mean.size, norm._mean.dtype))
    image = image_of(narrow)
    found = run(narrow, image, lambda x: kernels.run_block(narrow, x))
    for one, other in zip(found, run(wide, image.astype("float64"), wide), strict=True):
        assert one.shape == other.shape
        assert difference(one, other) <= 1e-5


@pytest.mark.usefixtures("always_wide")
def test_wide_unit_equals_paddles_own(library: Library) -> None:
    kernels, layer = Kernels(library), ConvNorm(5, 7, 3, act="relu")
    source = paddle.randn([3, 5, 9, 8])
    found = kernels.run_unit(layer, source)
    assert found is not None
    assert difference(found.numpy(), layer(source).numpy()) <= 1e-5


@pytest.mark.parametrize("compute", [FLOAT32, BFLOAT16])
@pytest.mark.parametrize("channels", [1, 8, 23, 40])
def test_odd_channels_get_kernels_as_quick_as_full_blocks_have(library: Library, channels: int, compute: int) -> None:
    full = UnitPlan(library, unit_shape(48), compute)
    assert unit_plan(library, unit_shape(channels), compute).quick == full.quick


@pytest.mark.parametrize("compute", [FLOAT32, BFLOAT16])
def test_full_blocks_stay_as_they_are(library: Library, compute: int) -> None:
    assert isinstance(unit_plan(library, unit_shape(32), compute), UnitPlan)


def test_where_nothing_is_quick_channels_stay_as_they_are(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Library, "implementation", lambda *_: "ref:any")
    assert isinstance(unit_plan(library, unit_shape(8), FLOAT32), UnitPlan)


def test_filled_and_first_are_inverse() -> None:
    tensor = paddle.arange(12, dtype="float32").reshape([3, 4])
    wide = filled(tensor, (5, 6))
    assert wide.shape == [5, 6]
    assert float(wide.sum()) == float(tensor.sum())
    assert np.array_equal(first(wide, (3, 4)).numpy(), tensor.numpy())
    assert filled(tensor, (3, 4)) is tensor
