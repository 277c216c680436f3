"""From an image to tokens, and back to a map."""

import paddle
from paddle import Tensor, nn

from ppresnet.errors import RequestError
from ppresnet.layers.conv import kaiming_fan_out


class PatchEmbed(nn.Layer):
    """Cuts a map into square patches and projects each to a token (Dosovitskiy et al. 2020, equation 1).

    Args:
        in_channels: channels of the map.
        width: channels of a token.
        patch: side of a patch, pixels of the map.
        grid: patches along one side.
        backbone: from the image to the map; the image itself where None.
    """

    def __init__(self, in_channels: int, width: int, patch: int, grid: int, backbone: nn.Layer | None = None) -> None:
        super().__init__()
        self.backbone = backbone if backbone is not None else nn.Identity()
        init = kaiming_fan_out(2 * in_channels * patch * patch)  # 1 / fan-in: there is no ReLU
        self.proj = nn.Conv2D(in_channels, width, patch, stride=patch, weight_attr=init)
        self.grid = grid

    def forward(self, image_NCHW: Tensor) -> Tensor:
        """Return the tokens, float32 [batch, grid * grid, width], row by row.

        Raises:
            RequestError: the image is not of the size that the positions were made for.
        """
        x_NCHW = self.proj(self.backbone(image_NCHW))
        found = list(x_NCHW.shape[2:])
        if found != [self.grid, self.grid]:
            raise RequestError(
                f"expected an image of {self.grid} x {self.grid} patches, found {found[0]} x {found[1]}; "
                "build the network with model.input_size set to the side of the image"
            )
        return x_NCHW.flatten(2).transpose([0, 2, 1])


class ClassToken(nn.Layer):
    """Puts a learned token before the others, and adds learned positions to all of them.

    Args:
        length: tokens without the first.
        width: channels of a token.
    """

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.cls_token = self.create_parameter([1, 1, width], default_initializer=nn.initializer.Normal(std=1e-6))
        positions = nn.initializer.TruncatedNormal(std=0.02)
        self.pos_embed = self.create_parameter([1, 1 + length, width], default_initializer=positions)

    def forward(self, x_NLC: Tensor) -> Tensor:
        """Return float32 [batch, 1 + length, width]."""
        # Not `expand`: with a free batch dimension it ends paddle2onnx 2.1.0 (SIGSEGV, from a .pdmodel).
        first_N1C = x_NLC[:, :1] * 0.0 + self.cls_token
        return paddle.concat([first_N1C, x_NLC], axis=1) + self.pos_embed


def map_of(x_NLC: Tensor, grid: int) -> Tensor:
    """Return the tokens behind the first as a map, float32 [batch, width, grid, grid]."""
    return x_NLC[:, 1:].transpose([0, 2, 1]).reshape([-1, x_NLC.shape[2], grid, grid])
