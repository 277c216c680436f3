"""What each operator does to channels; an operator that is not here freezes what it touches."""

from collections.abc import Mapping

from deploy.slim.rules.convolution import convolution
from deploy.slim.rules.normalisation import batch_norm, group_norm, layer_norm
from deploy.slim.rules.pointwise import add, compare, constant, drop, gate, keep, multiply, pool, reduce, scale, softmax
from deploy.slim.rules.product import product
from deploy.slim.rules.shaping import cut_out, expand, join, reshape, split, transpose
from deploy.slim.walk import Rule

RULES: Mapping[str, Rule] = {
    "conv2d": convolution,
    "depthwise_conv2d": convolution,
    "batch_norm": batch_norm,
    "sync_batch_norm": batch_norm,
    "group_norm": group_norm,
    "layer_norm": layer_norm,
    "relu": keep,
    "relu6": keep,
    "leaky_relu": keep,
    "swish": keep,
    "silu": keep,
    "gelu": keep,
    "hard_swish": keep,
    "hardswish": keep,
    "tanh": keep,
    "assign": keep,
    "cast": gate,
    "greater_equal": compare,
    "sigmoid": gate,
    "hard_sigmoid": gate,
    "softmax": softmax,
    "dropout": drop,
    "scale": scale,
    "pool2d": pool,
    "reduce_mean": reduce,
    "elementwise_add": add,
    "elementwise_sub": add,
    "elementwise_mul": multiply,
    "matmul_v2": product,
    "flatten_contiguous_range": reshape,
    "reshape2": reshape,
    "squeeze2": reshape,
    "unsqueeze2": reshape,
    "transpose2": transpose,
    "concat": join,
    "split": split,
    "slice": cut_out,
    "strided_slice": cut_out,
    "expand_v2": expand,
    "fill_constant": constant,
    "assign_value": constant,
    "shape": constant,
}
