"""The oneDNN of the installed Paddle, and the switch turned back after each test."""

from collections.abc import Iterator

import paddle
import pytest

from ppresnet import onednn
from ppresnet.layers import ConvNorm
from ppresnet.train.kernels import COMPOSITES


@pytest.fixture
def library() -> onednn.Library:
    paddle.set_device("cpu")
    try:
        return onednn.open_library()
    except onednn.OneDnnError as error:
        pytest.skip(f"no oneDNN to test: {error}")


@pytest.fixture
def kernels(library: onednn.Library) -> onednn.Kernels:
    return onednn.Kernels(library)


@pytest.fixture
def enabled(library: onednn.Library) -> Iterator[onednn.Kernels]:
    """The kernels in place, units fused."""
    onednn.enable("enabled", units=[ConvNorm])
    active = onednn.active()
    assert active is not None
    yield active
    onednn.disable()


@pytest.fixture
def fused(library: onednn.Library) -> Iterator[onednn.Kernels]:
    """The kernels in place, everything fused as in `tools/train.py`."""
    onednn.enable("enabled", **COMPOSITES)
    active = onednn.active()
    assert active is not None
    yield active
    onednn.disable()


@pytest.fixture
def switch_back() -> Iterator[None]:
    yield
    onednn.disable()
