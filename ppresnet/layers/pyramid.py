"""What a backbone gives to the part that uses it, such as a neck: a pyramid of feature maps."""

from typing import NamedTuple


class Level(NamedTuple):
    """One map of a feature pyramid, float32 [batch, channels, ceil(height / stride), ceil(width / stride)].

    Attributes:
        channels: of the map.
        stride: pixels of the image for one pixel of the map.
    """

    channels: int
    stride: int
