"""Widths of PP-LCNet against table 2 of the paper and PaddleClas's rounding, and what is refused."""

import pytest

from ppresnet.errors import ConfigError
from ppresnet.spec import LCNetSpec, spec_of


def _widths(name: str) -> list[int]:
    spec = spec_of(name)
    assert isinstance(spec, LCNetSpec)
    return [spec.stem, *(block.width for stage in spec.stages for block in stage)]


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("lcnet_025", [8, 8, 16, 16, 32, 32, *[64] * 6, 128, 128]),
        ("lcnet_035", [8, 16, 24, 24, 48, 48, *[88] * 6, 176, 176]),
        ("lcnet_075", [16, 24, 48, 48, 96, 96, *[192] * 6, 384, 384]),
        ("lcnet_100", [16, 32, 64, 64, 128, 128, *[256] * 6, 512, 512]),
        ("lcnet_250", [40, 80, 160, 160, 320, 320, *[640] * 6, 1280, 1280]),
    ],
)
def test_widths(name: str, widths: list[int]) -> None:
    assert _widths(name) == widths


def test_kernels_strides_and_excitations() -> None:
    spec = spec_of("lcnet_100")
    assert isinstance(spec, LCNetSpec)
    blocks = [block for stage in spec.stages for block in stage]
    assert [block.kernel for block in blocks] == [3] * 6 + [5] * 7
    assert [block.stride for block in blocks] == [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    assert [block.reduced for block in blocks] == [None] * 11 + [64, 128]
    assert (spec.act, spec.hidden) == ("hard_swish", 1280)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            {"drop_path": 0.1},
            "drop_path: lcnet_100 has no skips, .* leave it at 0, found 0.1",
        ),
        ({"zero_init_gamma": True}, "zero_init_gamma: lcnet_100 has no skips to start as; leave it false"),
    ],
)
def test_what_needs_skips_is_refused(override: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        spec_of("lcnet_100", **override)
