"""The part of oneDNN's C API that training needs: its values, structures and signatures.

They are those of `dnnl.h`, `dnnl_common.h`, `dnnl_types.h` and `dnnl_common_types.h` of oneDNN 3.2
(https://github.com/oneapi-src/oneDNN, include/oneapi/dnnl, Apache-2.0), which later 3.x keep; compared with those of
3.6. Paddle 2.6.2 ships 3.2.1, Paddle 3.3.1 ships 3.6.2.
"""

import ctypes
from collections.abc import Sequence
from typing import Any

FLOAT32, BFLOAT16 = 3, 2  # dnnl_data_type_t
FORWARD_TRAINING, BACKWARD = 64, 128  # dnnl_prop_kind_t
# dnnl_alg_kind_t: convolution_direct, eltwise_relu, eltwise_relu_use_dst_for_bwd, binary_add
DIRECT, RELU, RELU_BY_OUTPUT, ADD = 1, 0x20, 0x100, 0x1FFF0
USE_GLOBAL_STATS, USE_SCALE, USE_SHIFT, FUSE_RELU = 1, 2, 4, 8  # dnnl_normalization_flags_t
# DNNL_ARG_*
SRC, SECOND_SRC, DST, WEIGHTS, BIAS = 1, 2, 17, 33, 41
MEAN, VARIANCE, SCALE, SHIFT, WORKSPACE, SCRATCHPAD = 49, 50, 51, 52, 64, 80
DIFF_SRC, DIFF_DST, DIFF_WEIGHTS, DIFF_BIAS, DIFF_SCALE, DIFF_SHIFT = 129, 145, 161, 169, 255, 256
# What each status means, by its number (dnnl_status_t).
STATUS = (
    "success", "out of memory", "invalid arguments", "unimplemented", "last implementation reached", "runtime error",
    "not required", "invalid graph", "invalid graph op", "invalid shape", "invalid data type",
)  # fmt: skip

MAX_NDIMS = 12

Handle = ctypes.c_void_p
_INT, _SIZE, _FLOAT, _FLAGS = ctypes.c_int, ctypes.c_size_t, ctypes.c_float, ctypes.c_uint
_DIMS, _OUT = ctypes.POINTER(ctypes.c_int64), ctypes.POINTER(Handle)


class Argument(ctypes.Structure):
    """dnnl_exec_arg_t."""

    _fields_ = (("argument", ctypes.c_int), ("memory", Handle))


class Version(ctypes.Structure):
    """dnnl_version_t, without its last fields."""

    _fields_ = (("major", ctypes.c_int), ("minor", ctypes.c_int), ("patch", ctypes.c_int))


_CONVOLUTION_ATTRIBUTES = (_DIMS, _DIMS, _DIMS, _DIMS)  # strides, dilates, padding_l, padding_r
_CONVOLUTION_BACKWARD = (_OUT, Handle, _INT, *[Handle] * 3, *_CONVOLUTION_ATTRIBUTES, Handle, Handle)
# Name without `dnnl_` -> argument types; all of these return a status.
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "engine_create": (_OUT, _INT, _SIZE),
    "stream_create": (_OUT, Handle, _FLAGS),
    "stream_wait": (Handle,),
    "memory_desc_create_with_strides": (_OUT, _INT, _DIMS, _INT, _DIMS),
    "memory_desc_create_with_tag": (_OUT, _INT, _DIMS, _INT, _INT),
    "memory_create": (_OUT, Handle, Handle, Handle),
    "memory_set_data_handle": (Handle, Handle),
    "primitive_attr_create": (_OUT,),
    "primitive_attr_set_scratchpad_mode": (Handle, _INT),
    "primitive_attr_set_post_ops": (Handle, Handle),
    "post_ops_create": (_OUT,),
    "post_ops_append_eltwise": (Handle, _INT, _FLOAT, _FLOAT),
    "primitive_create": (_OUT, Handle),
    "primitive_desc_query": (Handle, _INT, _INT, ctypes.POINTER(ctypes.c_char_p)),
    "primitive_execute": (Handle, Handle, _INT, ctypes.POINTER(Argument)),
    "reorder_primitive_desc_create": (_OUT, Handle, Handle, Handle, Handle, Handle),
    "convolution_forward_primitive_desc_create": (
        _OUT, Handle, _INT, _INT, *[Handle] * 4, *_CONVOLUTION_ATTRIBUTES, Handle,
    ),
    "convolution_backward_data_primitive_desc_create": _CONVOLUTION_BACKWARD,
    "convolution_backward_weights_primitive_desc_create": (*_CONVOLUTION_BACKWARD[:6], *_CONVOLUTION_BACKWARD[5:]),
    "binary_primitive_desc_create": (_OUT, Handle, _INT, Handle, Handle, Handle, Handle),
    "eltwise_forward_primitive_desc_create": (_OUT, Handle, _INT, _INT, Handle, Handle, _FLOAT, _FLOAT, Handle),
    "eltwise_backward_primitive_desc_create": (
        _OUT, Handle, _INT, Handle, Handle, Handle, _FLOAT, _FLOAT, Handle, Handle,
    ),
    "batch_normalization_forward_primitive_desc_create": (_OUT, Handle, _INT, Handle, Handle, _FLOAT, _FLAGS, Handle),
    "batch_normalization_backward_primitive_desc_create": (
        _OUT, Handle, _INT, Handle, Handle, Handle, _FLOAT, _FLAGS, Handle, Handle,
    ),
}  # fmt: skip
KINDS = ("engine", "stream", "memory", "memory_desc", "primitive", "primitive_desc", "primitive_attr", "post_ops")


def sizes(values: Sequence[int]) -> Any:
    """Return a dnnl_dims_t."""
    return (ctypes.c_int64 * MAX_NDIMS)(*values)
