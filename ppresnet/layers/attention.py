"""Self-attention, and the pre-norm encoder block that is made of it."""

import paddle.nn.functional as F
from paddle import Tensor, nn

from ppresnet.layers.activation import activation
from ppresnet.layers.drop_path import DropPath
from ppresnet.paddle_api import matmul

LAYER_NORM_EPSILON = 1e-6
LINEAR_STD = 0.02


class Attention(nn.Layer):
    """Multi-head self-attention (Vaswani et al. 2017, arXiv:1706.03762), of plain operators that every runtime has.

    Args:
        width: channels of a token.
        heads: of attention.
        head_dim: channels of the query, the key and the value of one head.
    """

    def __init__(self, width: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, head_dim
        self.qkv = linear(width, 3 * heads * head_dim)
        self.proj = linear(heads * head_dim, width)

    def forward(self, x_NLC: Tensor) -> Tensor:
        """Return softmax(q k^T / sqrt(head_dim)) v of every head, projected: float32 [batch, length, width]."""
        length = x_NLC.shape[1]
        qkv = self.qkv(x_NLC).reshape([-1, length, 3, self.heads, self.head_dim]).transpose([2, 0, 3, 1, 4])
        query_NHLD, key_NHLD, value_NHLD = qkv[0] * self.head_dim**-0.5, qkv[1], qkv[2]
        weights_NHLL = F.softmax(matmul(query_NHLD, key_NHLD, transpose_y=True), axis=-1)
        mixed = matmul(weights_NHLL, value_NHLD).transpose([0, 2, 1, 3])
        return self.proj(mixed.reshape([-1, length, self.heads * self.head_dim]))


class MLP(nn.Layer):
    """Two linear layers with an activation between them, the same for every token."""

    def __init__(self, width: int, hidden: int, act: str) -> None:
        super().__init__()
        self.fc1 = linear(width, hidden)
        self.act = activation(act)
        self.fc2 = linear(hidden, width)

    def forward(self, x_NLC: Tensor) -> Tensor:
        """Return float32 [batch, length, width]."""
        return self.fc2(self.act(self.fc1(x_NLC)))


class EncoderBlock(nn.Layer):
    """Attention and an MLP, each normalised before and added to its input (Dosovitskiy et al. 2020, equations 2, 3).

    Args:
        width: channels of a token.
        heads: of attention.
        head_dim: channels of one head.
        mlp: hidden width of the MLP.
        act: name of the MLP's activation.
        drop_path: probability of dropping either branch in training.
    """

    def __init__(
        self, width: int, heads: int, head_dim: int, mlp: int, act: str = "gelu", drop_path: float = 0.0
    ) -> None:
        super().__init__()
        self.norm1 = layer_norm(width)
        self.attn = Attention(width, heads, head_dim)
        self.norm2 = layer_norm(width)
        self.mlp = MLP(width, mlp, act)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x_NLC: Tensor) -> Tensor:
        """Return float32 [batch, length, width]."""
        x_NLC = x_NLC + self.drop_path(self.attn(self.norm1(x_NLC)))
        return x_NLC + self.drop_path(self.mlp(self.norm2(x_NLC)))


def layer_norm(width: int) -> nn.LayerNorm:
    """Return LayerNorm over the channels of a token, with the epsilon of the published weights."""
    return nn.LayerNorm(width, epsilon=LAYER_NORM_EPSILON)


def linear(in_features: int, out_features: int) -> nn.Linear:
    """Return a linear layer with weights from a truncated normal distribution, as timm's transformers have."""
    return nn.Linear(in_features, out_features, weight_attr=nn.initializer.TruncatedNormal(std=LINEAR_STD))
