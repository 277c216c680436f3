"""oneDNN's shared library, loaded: its functions typed, its handles owned and counted."""

import ctypes
import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ppresnet.errors import PpresnetError
from ppresnet.onednn.api import FLOAT32, FUNCTIONS, KINDS, RELU, STATUS, Handle, Version, sizes

OLDEST = (3, 2)

_CPU, _IN_ORDER, _TAG_ANY, _SCRATCHPAD_BY_USER = 1, 1, 1, 1
_QUERY_IMPLEMENTATION, _QUERY_ARGUMENT = 8, 255


class OneDnnError(PpresnetError):
    """A function of oneDNN failed, or the library cannot be used; `status` is a name of `STATUS` where there is one."""

    def __init__(self, message: str, status: str | None = None) -> None:
        super().__init__(message)
        self.status = status


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
            self._c.dnnl_version.restype = ctypes.POINTER(Version)
            found = self._c.dnnl_version().contents
        except (OSError, AttributeError) as error:
            raise OneDnnError(f"{path} is no oneDNN that can be loaded: {error}") from error
        self.version = (found.major, found.minor, found.patch)
        expect_version(self.version)
        self.created: Counter[str] = Counter()
        self.destroyed: Counter[str] = Counter()
        self._counting = threading.RLock()
        self._functions = {name: self._typed(name, types) for name, types in FUNCTIONS.items()}
        self._destroyers = {kind: self._typed(f"{kind}_destroy", (Handle,)) for kind in KINDS}
        self._size = self._symbol("memory_desc_get_size")
        self._size.argtypes, self._size.restype = [Handle], ctypes.c_size_t
        self._query = self._symbol("primitive_desc_query_md")
        self._query.argtypes, self._query.restype = [Handle, ctypes.c_int, ctypes.c_int], ctypes.c_void_p
        self._equal = self._symbol("memory_desc_equal")
        self._equal.argtypes, self._equal.restype = [Handle, Handle], ctypes.c_int
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

    def implementation(self, primitive_desc: Owned) -> str:
        """Return the name of the chosen kernel, such as `bnorm_jit:avx512_core`; one for any CPU ends in `:any`."""
        name = ctypes.c_char_p()
        self._functions["primitive_desc_query"](primitive_desc.value, _QUERY_IMPLEMENTATION, 0, ctypes.byref(name))
        return (name.value or b"").decode("ascii", "replace")

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
        function.argtypes, function.restype, function.errcheck = types, ctypes.c_int, _expect_success
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
