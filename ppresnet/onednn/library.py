"""The part of oneDNN's C API that training needs, typed, through ctypes.

Signatures and values are those of `dnnl.h`, `dnnl_common.h`, `dnnl_types.h` and `dnnl_common_types.h` of oneDNN 3.2
(https://github.com/oneapi-src/oneDNN, include/oneapi/dnnl, Apache-2.0), which later 3.x keep; compared with those of
3.6. Paddle 2.6.2 ships 3.2.1, Paddle 3.3.1 ships 3.6.2.
"""

import ctypes
import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ppresnet.errors import PpresnetError

FLOAT32, BFLOAT16 = 3, 2  # dnnl_data_type_t
FORWARD_TRAINING, BACKWARD = 64, 128  # dnnl_prop_kind_t
# dnnl_alg_kind_t: convolution_direct, eltwise_relu, eltwise_relu_use_dst_for_bwd, binary_add
DIRECT, RELU, RELU_BY_OUTPUT, ADD = 1, 0x20, 0x100, 0x1FFF0
USE_SCALE, USE_SHIFT, FUSE_RELU = 2, 4, 8  # dnnl_normalization_flags_t
# DNNL_ARG_*
SRC, SECOND_SRC, DST, WEIGHTS, BIAS = 1, 2, 17, 33, 41
MEAN, VARIANCE, SCALE, SHIFT, WORKSPACE, SCRATCHPAD = 49, 50, 51, 52, 64, 80
DIFF_SRC, DIFF_DST, DIFF_WEIGHTS, DIFF_BIAS, DIFF_SCALE, DIFF_SHIFT = 129, 145, 161, 169, 255, 256
# What each status means, by its number (dnnl_status_t).
STATUS = (
    "success", "out of memory", "invalid arguments", "unimplemented", "last implementation reached", "runtime error",
    "not required", "invalid graph", "invalid graph op", "invalid shape", "invalid data type",
)  # fmt: skip
OLDEST = (3, 2)

_CPU, _IN_ORDER, _TAG_ANY, _SCRATCHPAD_BY_USER, _QUERY_ARGUMENT = 1, 1, 1, 1, 255
_MAX_NDIMS = 12

Handle = ctypes.c_void_p
_INT, _SIZE, _FLOAT, _FLAGS = ctypes.c_int, ctypes.c_size_t, ctypes.c_float, ctypes.c_uint
_DIMS, _OUT = ctypes.POINTER(ctypes.c_int64), ctypes.POINTER(Handle)


class OneDnnError(PpresnetError):
    """A function of oneDNN failed, or the library cannot be used; `status` is a name of `STATUS` where there is one."""

    def __init__(self, message: str, status: str | None = None) -> None:
        super().__init__(message)
        self.status = status


class Argument(ctypes.Structure):
    """dnnl_exec_arg_t."""

    _fields_ = (("argument", ctypes.c_int), ("memory", Handle))


class _Version(ctypes.Structure):
    _fields_ = (("major", ctypes.c_int), ("minor", ctypes.c_int), ("patch", ctypes.c_int))


_CONVOLUTION_ATTRIBUTES = (_DIMS, _DIMS, _DIMS, _DIMS)  # strides, dilates, padding_l, padding_r
_CONVOLUTION_BACKWARD = (_OUT, Handle, _INT, *[Handle] * 3, *_CONVOLUTION_ATTRIBUTES, Handle, Handle)
# Name without `dnnl_` -> argument types; all of these return a status.
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
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
_KINDS = ("engine", "stream", "memory", "memory_desc", "primitive", "primitive_desc", "primitive_attr", "post_ops")


class Owned:
    """A handle that is destroyed with the last reference to it."""

    def __init__(self, library: "Library", kind: str, value: Handle) -> None:
        self.value = value
        self._library, self._kind = library, kind
        library.count(kind, 1)

    def __del__(self) -> None:
        self._library.destroy(self._kind, self.value)


class Library:
    """One loaded libdnnl with a CPU engine.

    Args:
        path: of the shared library.

    Raises:
        OneDnnError: it cannot be loaded, its version is not 3.2 or a later 3.x, or it lacks a function.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._c = ctypes.CDLL(str(path))
            self._c.dnnl_version.restype = ctypes.POINTER(_Version)
            found = self._c.dnnl_version().contents
        except (OSError, AttributeError) as error:
            raise OneDnnError(f"{path} is no oneDNN that can be loaded: {error}") from error
        self.version = (found.major, found.minor, found.patch)
        expect_version(self.version)
        self.created: Counter[str] = Counter()
        self.destroyed: Counter[str] = Counter()
        self._counting = threading.RLock()
        self._functions = {name: self._typed(name, types) for name, types in _FUNCTIONS.items()}
        self._destroyers = {kind: self._typed(f"{kind}_destroy", (Handle,)) for kind in _KINDS}
        self._size = self._symbol("memory_desc_get_size")
        self._size.argtypes, self._size.restype = [Handle], ctypes.c_size_t
        self._query = self._symbol("primitive_desc_query_md")
        self._query.argtypes, self._query.restype = [Handle, _INT, _INT], ctypes.c_void_p
        self._equal = self._symbol("memory_desc_equal")
        self._equal.argtypes, self._equal.restype = [Handle, Handle], _INT
        self.execute = self._functions["primitive_execute"]
        self.set_address = self._functions["memory_set_data_handle"]
        self.wait = self._functions["stream_wait"]
        self.threads = _thread_counter(path, self._c)
        self.engine = self.create("engine", _CPU, 0)
        self.attributes = self._attributes()

    def create(self, kind: str, *arguments: Any, function: str | None = None) -> Owned:
        """Call `dnnl_<kind>_create`, or another function that gives such a handle first, and own what it gives.

        Raises:
            OneDnnError: with the name of the status.
        """
        handle = Handle()
        self._functions[function or f"{kind}_create"](ctypes.byref(handle), *arguments)
        return Owned(self, kind, handle)

    def with_relu(self) -> Owned:
        """Return attributes of a primitive that rectifies its output."""
        after, attributes = self.create("post_ops"), self._attributes()
        self._functions["post_ops_append_eltwise"](after.value, RELU, 0.0, 0.0)
        self._functions["primitive_attr_set_post_ops"](attributes.value, after.value)
        return attributes

    def destroy(self, kind: str, value: Handle) -> None:
        """Give a handle back; only `Owned` calls this."""
        self._destroyers[kind](value)
        self.count(kind, 0, 1)

    def count(self, kind: str, created: int, destroyed: int = 0) -> None:
        """Keep the books of handles; `created` and `destroyed` agree when nothing is alive."""
        with self._counting:
            self.created[kind] += created
            self.destroyed[kind] += destroyed

    def stream(self) -> Owned:
        """Return a new in-order stream."""
        return self.create("stream", self.engine.value, _IN_ORDER)

    def plain(self, dims: Sequence[int], dtype: int = FLOAT32) -> Owned:
        """Return the descriptor of a contiguous row-major tensor."""
        strides = [1]
        for dim in reversed(dims[1:]):
            strides.insert(0, strides[0] * dim)
        return self.strided(dims, strides, dtype)

    def strided(self, dims: Sequence[int], strides: Sequence[int], dtype: int = FLOAT32) -> Owned:
        """Return the descriptor of a tensor whose neighbours in each dimension are so many elements apart."""
        function = "memory_desc_create_with_strides"
        return self.create("memory_desc", len(dims), sizes(dims), dtype, sizes(strides), function=function)

    def free(self, dims: Sequence[int], dtype: int) -> Owned:
        """Return a descriptor that leaves the layout to the primitive (format_tag_any)."""
        function = "memory_desc_create_with_tag"
        return self.create("memory_desc", len(dims), sizes(dims), dtype, _TAG_ANY, function=function)

    def layout(self, primitive_desc: Owned, argument: int) -> Handle:
        """Return the descriptor an argument of a primitive has; it belongs to the primitive descriptor."""
        return Handle(self._query(primitive_desc.value, _QUERY_ARGUMENT, argument))

    def size(self, layout: Handle) -> int:
        """Return the bytes a tensor of this layout takes."""
        return int(self._size(layout))

    def same(self, one: Handle, other: Handle) -> bool:
        """Return whether two descriptors agree in shape, type and layout."""
        return bool(self._equal(one, other))

    def _attributes(self) -> Owned:
        attributes = self.create("primitive_attr")
        self._functions["primitive_attr_set_scratchpad_mode"](attributes.value, _SCRATCHPAD_BY_USER)
        return attributes

    def _typed(self, name: str, types: tuple[Any, ...]) -> Callable[..., Any]:
        function = self._symbol(name)
        function.argtypes, function.restype, function.errcheck = types, _INT, _expect_success
        return function  # type: ignore[no-any-return]

    def _symbol(self, name: str) -> Any:
        try:
            return getattr(self._c, f"dnnl_{name}")
        except AttributeError as error:
            version = ".".join(map(str, self.version))
            raise OneDnnError(f"{self._path} is oneDNN {version} without the function dnnl_{name}") from error


def expect_version(version: tuple[int, int, int]) -> None:
    """Refuse every oneDNN whose C API is not the one described here.

    Raises:
        OneDnnError: the major version is not 3, or the minor below 2.
    """
    if version[0] != OLDEST[0] or version[1] < OLDEST[1]:
        found = ".".join(map(str, version))
        raise OneDnnError(f"expected oneDNN 3.{OLDEST[1]} or a later 3.x, found {found}; use Paddle 2.6 to 3.3")


def sizes(values: Sequence[int]) -> Any:
    """Return a dnnl_dims_t."""
    return (ctypes.c_int64 * _MAX_NDIMS)(*values)


def _expect_success(status: int, function: Any, _: Any) -> None:
    if status:
        name = STATUS[status] if 0 < status < len(STATUS) else f"status {status}"
        raise OneDnnError(f"oneDNN: {function.__name__} failed: {name}", name)


def _thread_counter(path: Path, library: ctypes.CDLL) -> Callable[[], int]:
    """Return omp_get_max_threads of the OpenMP that oneDNN uses: Paddle's own where it is loaded, whose symbols win."""
    try:
        openmp = ctypes.CDLL(str(path.with_name("libiomp5.so")), mode=os.RTLD_NOLOAD)
    except OSError:
        openmp = library
    counter = getattr(openmp, "omp_get_max_threads", None)
    return counter if counter is not None else lambda: 1
