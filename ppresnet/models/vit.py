"""Vision transformers, alone and behind a ResNet stem."""

from paddle import Tensor, nn

from ppresnet.layers import Level
from ppresnet.layers.attention import EncoderBlock, layer_norm, linear
from ppresnet.layers.drop_path import linear_rates
from ppresnet.layers.patch_embed import ClassToken, PatchEmbed, map_of
from ppresnet.models.vit_hybrid import hybrid_backbone
from ppresnet.spec.vit import ViTSpec


class VisionTransformer(nn.Layer):
    """A vision transformer built from its spec (Dosovitskiy et al. 2020, arXiv:2010.11929).

    Args:
        spec: the architecture; kept as `self.spec`.

    Attributes:
        pyramid: the one map that `features` returns: the tokens of the last block.

    Raises:
        ConfigError: a block of the ResNet stem has a skip that does not match its branch.
    """

    def __init__(self, spec: ViTSpec) -> None:
        super().__init__()
        self.spec = spec
        channels, backbone = spec.in_channels, None
        if spec.stem is not None:
            backbone = hybrid_backbone(spec.in_channels, spec.stem, spec.norm)
            channels = spec.stem.channels
        self.patch_embed = PatchEmbed(channels, spec.width, spec.patch, spec.grid, backbone)
        self.tokens = ClassToken(spec.grid**2, spec.width)
        blocks = (
            EncoderBlock(spec.width, block.heads, block.head_dim, block.mlp, spec.act, rate)
            for block, rate in zip(spec.blocks, linear_rates(spec.drop_path, len(spec.blocks)), strict=True)
        )
        self.stages = nn.Sequential(nn.Sequential(*blocks))
        self.norm = layer_norm(spec.width)
        self.head = TokenHead(spec.width, spec.num_classes, spec.dropout)
        self.pyramid = (Level(spec.width, spec.stride),)

    def features(self, image_NCHW: Tensor) -> tuple[Tensor, ...]:
        """Return the normalised tokens of the patches as one map, as `pyramid` says."""
        return (map_of(self._encoded(image_NCHW), self.spec.grid),)

    def forward(self, image_NCHW: Tensor) -> Tensor:
        """Return the logits, float32 [batch, num_classes], of float32 images [batch, in_channels, height, width]."""
        return self.head(self._encoded(image_NCHW))

    def _encoded(self, image_NCHW: Tensor) -> Tensor:
        return self.norm(self.stages(self.tokens(self.patch_embed(image_NCHW))))


class TokenHead(nn.Layer):
    """Dropout and a linear classifier of the first token."""

    def __init__(self, width: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.fc = linear(width, num_classes)

    def forward(self, x_NLC: Tensor) -> Tensor:
        """Return the logits, float32 [batch, num_classes]."""
        return self.fc(self.dropout(x_NLC[:, 0]))
