"""A stage of a network."""

from paddle import Tensor, nn


class Stage(nn.Sequential):
    """Blocks one behind another, the first of which may halve the resolution."""

    def forward(self, x_NCHW: Tensor, before: nn.Layer | None = None) -> Tensor:
        """Return what the blocks make of a tensor, or of what a layer before them, not one of theirs, makes of it."""
        return nn.Sequential.forward(self, x_NCHW if before is None else before(x_NCHW))  # Paddle 2.6 traces no super()
