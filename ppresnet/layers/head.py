"""Heads: the layers behind the last block."""

import math

from paddle import Tensor, nn


class Head(nn.Layer):
    """Global average pooling, dropout and a linear classifier."""

    def __init__(self, in_channels: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2D(1)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        bound = 1.0 / math.sqrt(in_channels)
        self.fc = nn.Linear(in_channels, num_classes, weight_attr=nn.initializer.Uniform(-bound, bound))

    def forward(self, features_NCHW: Tensor) -> Tensor:
        """Return the logits, float32 [batch, num_classes]."""
        return self.fc(self.dropout(self.pool(features_NCHW).flatten(1)))
