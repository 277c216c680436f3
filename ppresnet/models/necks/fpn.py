"""Feature pyramid network."""

from collections.abc import Sequence
from itertools import pairwise

import paddle.nn.functional as F
from paddle import Tensor, nn

from ppresnet.errors import ConfigError
from ppresnet.layers import Level


class FPN(nn.Layer):
    """Gives every level what the coarser ones know (Lin et al. 2016, arXiv:1612.03144).

    A 1x1 convolution brings each map to one width; from the coarsest down, each sum is enlarged to the next map, pixel
    by pixel, and added; a 3x3 convolution smooths each sum. There is no normalisation and no activation.

    Args:
        pyramid: of the backbone, or the levels of it that are passed on; finest first.
        width: channels of every output.
        extra: further levels, each every second pixel of the one before (section 4.1, footnote 1).

    Attributes:
        pyramid: channels and stride of each map that it returns.

    Raises:
        ConfigError: there is no level, the strides do not ascend, or a number is out of range.
    """

    def __init__(self, pyramid: Sequence[Level], width: int = 256, extra: int = 0) -> None:
        super().__init__()
        expect_pyramid(pyramid, width, extra)
        self.channels = [level.channels for level in pyramid]
        self.lateral = nn.LayerList([convolution(channels, width, 1) for channels in self.channels])
        self.smooth = nn.LayerList([convolution(width, width, 3) for _ in pyramid])
        self.extra = extra
        self.pyramid = levels_of(pyramid, width, extra)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return one map a level, finest first, each float32 [batch, width, height, width of the image / stride].

        Raises:
            ConfigError: the maps are not those of the pyramid.
        """
        expect_maps(maps, self.channels)
        sums = [lateral(maps[index]) for index, lateral in enumerate(self.lateral)]
        for index in range(len(sums) - 1, 0, -1):
            sums[index - 1] = sums[index - 1] + enlarged(sums[index], sums[index - 1])
        return with_extra([smooth(sums[index]) for index, smooth in enumerate(self.smooth)], self.extra)


def levels_of(pyramid: Sequence[Level], width: int, extra: int) -> tuple[Level, ...]:
    """Return the levels that a neck gives for those of a backbone."""
    strides = [level.stride for level in pyramid]
    strides += [strides[-1] * 2 ** (index + 1) for index in range(extra)]
    return tuple(Level(width, stride) for stride in strides)


def convolution(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Conv2D:
    """Return a convolution with bias, drawn from the uniform distribution of Glorot and Bengio 2010."""
    return nn.Conv2D(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        padding=kernel // 2,
        weight_attr=nn.initializer.XavierUniform(),
        bias_attr=nn.initializer.Constant(0.0),
    )


def enlarged(coarse_NCHW: Tensor, fine_NCHW: Tensor) -> Tensor:
    """Return the coarse map in the size of the fine one, each pixel the nearest one; odd sizes need no crop."""
    return F.interpolate(coarse_NCHW, size=fine_NCHW.shape[2:], mode="nearest")


def cropped(map_NCHW: Tensor, like_NCHW: Tensor) -> Tensor:
    """Return the map without the last row or column that the other lacks, where its backbone rounds sizes down."""
    sides = [*map_NCHW.shape[2:], *like_NCHW.shape[2:]]
    if all(isinstance(side, int) for side in sides) and sides[:2] == sides[2:]:
        return map_NCHW
    return map_NCHW[:, :, : sides[2], : sides[3]]


def with_extra(maps: Sequence[Tensor], extra: int) -> tuple[Tensor, ...]:
    """Return the maps and `extra` coarser ones, each every second pixel of the one before."""
    found = list(maps)
    for _ in range(extra):
        found.append(F.max_pool2d(found[-1], 1, stride=2))
    return tuple(found)


def expect_pyramid(pyramid: Sequence[Level], width: int, extra: int) -> None:
    """Check what a neck is built for.

    Raises:
        ConfigError: there is no level, the strides do not ascend, or a number is out of range.
    """
    strides = [level.stride for level in pyramid]
    if not strides:
        raise ConfigError("a neck needs at least one level of a pyramid; found none")
    if any(coarse < fine or coarse % fine for fine, coarse in pairwise(strides)):
        raise ConfigError(f"a neck needs strides that are multiples of each other, finest first; found {strides}")
    if width < 1 or extra < 0:
        raise ConfigError(f"a neck needs a width of at least 1 and no negative extra; found {width} and {extra}")


def expect_maps(maps: Sequence[Tensor], channels: Sequence[int]) -> None:
    """Check that maps are those a neck was built for.

    Raises:
        ConfigError: their number or their channels differ.
    """
    found = [map_NCHW.shape[1] for map_NCHW in maps]
    if found != list(channels):
        raise ConfigError(f"the neck was built for maps of {list(channels)} channels; found {found}")
