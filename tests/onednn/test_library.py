"""Tests of the binding."""

import ctypes
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ppresnet.onednn import library as c
from ppresnet.onednn import switch


@pytest.mark.parametrize("version", [(2, 7, 3), (3, 1, 9), (4, 0, 0)])
def test_other_versions_are_refused(version: tuple[int, int, int]) -> None:
    with pytest.raises(c.OneDnnError, match=rf"3\.2 or a later 3\.x, found {'.'.join(map(str, version))}"):
        c.expect_version(version)


def test_versions_with_this_interface_pass() -> None:
    passed = []
    for version in ((3, 1, 9), (3, 2, 0), (3, 6, 2), (3, 11, 0), (4, 0, 0)):
        with suppress(c.OneDnnError):
            c.expect_version(version)
            passed.append(version)
    assert passed == [(3, 2, 0), (3, 6, 2), (3, 11, 0)]


def test_what_is_no_library_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "libdnnl.so.3"
    path.write_bytes(b"no ELF")
    with pytest.raises(c.OneDnnError, match="is no oneDNN that can be loaded"):
        c.Library(path)


def test_another_library_is_refused() -> None:
    with pytest.raises(c.OneDnnError, match="dnnl_version"):
        c.Library(Path("libc.so.6"))


@pytest.mark.parametrize(
    "name",
    ["primitive_create", "stream_destroy", "memory_desc_get_size", "primitive_desc_query_md", "memory_desc_equal"],
)
def test_a_function_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, library: c.Library, name: str) -> None:
    whole = ctypes.CDLL(str(switch.library_path()))

    class Lacking:
        def __init__(self, *_: object, **__: object) -> None: ...

        def __getattr__(self, symbol: str) -> Any:
            if symbol == f"dnnl_{name}":
                raise AttributeError(f"undefined symbol: {symbol}")
            return getattr(whole, symbol)

    monkeypatch.setattr(ctypes, "CDLL", Lacking)
    with pytest.raises(c.OneDnnError, match=rf"is oneDNN {library.version[0]}\..* without the function dnnl_{name}$"):
        c.Library(switch.library_path())


def test_failures_carry_function_and_status(library: c.Library) -> None:
    with pytest.raises(c.OneDnnError, match="memory_desc_create_with_tag failed: invalid arguments") as caught:
        library.free([1] * 12, 99)
    assert caught.value.status == "invalid arguments"


def test_plain_tensors_are_contiguous(library: c.Library) -> None:
    one = library.plain([2, 3, 5, 7])
    assert library.size(one.value) == 2 * 3 * 5 * 7 * 4
    assert library.same(one.value, library.plain([2, 3, 5, 7]).value)
    assert not library.same(one.value, library.plain([2, 3, 7, 5]).value)


def test_handles_are_given_back(library: c.Library) -> None:
    before = library.destroyed["memory_desc"]
    library.plain([2, 3])
    assert library.destroyed["memory_desc"] == before + 1 == library.created["memory_desc"]
