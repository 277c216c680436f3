"""A stage of a network."""

from paddle import nn


class Stage(nn.Sequential):
    """Blocks one behind another, the first of which may halve the resolution."""
