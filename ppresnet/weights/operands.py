"""What stands behind the opcodes of a pickle: numbers, texts, bytes and names, none of them longer than the file."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from ppresnet.errors import WeightsError

Reader = Callable[[memoryview, int], tuple[Any, int]]
_MAX_NAME = 256
_LONG_TEXT = 1 << 16


def take(data: memoryview, start: int, count: int) -> memoryview:
    """Return `count` bytes.

    Raises:
        WeightsError: there are fewer.
    """
    if not 0 <= count <= len(data) - start:
        raise WeightsError(
            f"its pickle ends too early: {count} bytes are needed at byte {start} of {len(data)}; copy the file again"
        )
    return data[start : start + count]


def nothing(data: memoryview, start: int) -> tuple[None, int]:
    """Return the operand of an instruction that has none."""
    return None, start


def number(format: str) -> Reader:
    """Return a reader of one number, in the format of `struct`."""
    size = struct.calcsize(format)

    def read(data: memoryview, start: int) -> tuple[Any, int]:
        return struct.unpack(format, take(data, start, size))[0], start + size

    return read


def counted(format: str, convert: Callable[[memoryview], Any]) -> Reader:
    """Return a reader of a count and as many bytes."""
    count_of = number(format)

    def read(data: memoryview, start: int) -> tuple[Any, int]:
        count, start = count_of(data, start)
        return convert(take(data, start, count)), start + count

    return read


def raw(data: memoryview) -> memoryview:
    """Return bytes where they are."""
    return data


def text(data: memoryview) -> str:
    """Return UTF-8 text.

    Raises:
        WeightsError: it is none.
    """
    # Arrays in protocol 2 are Latin-1 text; one character beyond it would make Python take four bytes for each.
    if len(data) > _LONG_TEXT and np.frombuffer(data, np.uint8).max() > 0xC3:
        raise WeightsError(f"its pickle has a text of {len(data)} bytes that is not Latin-1")
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise WeightsError(f"its pickle has a text that is not UTF-8: {error.reason}") from error


def text_of_python_2(data: memoryview) -> str:
    """Return text that Python 2 wrote as bytes."""
    return str(data, "latin-1")


def integer(data: memoryview) -> int:
    """Return a whole number of any length."""
    return int.from_bytes(data, "little", signed=True)


def dotted(data: memoryview, start: int) -> tuple[str, int]:
    """Return the module and the name on two lines, with a dot between them.

    Raises:
        WeightsError: they do not end soon.
    """
    head = bytes(data[start : start + 2 * _MAX_NAME])
    lines = head.split(b"\n", 2)
    if len(lines) < 3:
        raise WeightsError(f"its pickle has a name at byte {start} that does not end within {2 * _MAX_NAME} bytes")
    module, name = (line.decode("utf-8", "replace") for line in lines[:2])
    return f"{module}.{name}", start + len(lines[0]) + len(lines[1]) + 2
