"""Path aggregation network."""

from collections.abc import Sequence
from itertools import pairwise

import paddle.nn.functional as F
from paddle import Tensor, nn

from ppresnet.layers import Level
from ppresnet.models.necks.fpn import FPN, convolution, cropped, expect_pyramid, levels_of, with_extra


class PAN(nn.Layer):
    """A bottom-up path behind an FPN, so that fine detail has a short way up (Liu et al. 2018, arXiv:1803.01534).

    From the finest level up, a strided 3x3 convolution brings each map to the size of the next, which is added; a 3x3
    convolution follows the sum. Each of the two is followed by a ReLU (section 3.1).

    Args:
        pyramid: of the backbone, or the levels of it that are passed on; finest first.
        width: channels of every output.
        extra: further levels, each every second pixel of the one before.

    Attributes:
        pyramid: channels and stride of each map that it returns.

    Raises:
        ConfigError: there is no level, the strides do not ascend, or a number is out of range.
    """

    def __init__(self, pyramid: Sequence[Level], width: int = 256, extra: int = 0) -> None:
        super().__init__()
        expect_pyramid(pyramid, width, extra)
        self.top_down = FPN(pyramid, width)
        steps = [coarse.stride // fine.stride for fine, coarse in pairwise(pyramid)]
        self.down = nn.LayerList([convolution(width, width, 3, stride=step) for step in steps])
        self.fuse = nn.LayerList([convolution(width, width, 3) for _ in steps])
        self.extra = extra
        self.pyramid = levels_of(pyramid, width, extra)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return one map a level, finest first, each float32 [batch, width, height, width of the image / stride].

        Raises:
            ConfigError: the maps are not those of the pyramid.
        """
        maps = self.top_down(maps)
        found = [maps[0]]
        for index, map_NCHW in enumerate(maps[1:]):
            reached = cropped(F.relu(self.down[index](found[-1])), map_NCHW)
            found.append(F.relu(self.fuse[index](map_NCHW + reached)))
        return with_extra(found, self.extra)
