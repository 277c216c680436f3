"""The bytes of a pickle as instructions: a decoder for the few that data needs, which runs nothing.

Python's `pickletools` describes every instruction. Those left out here have no place in weights: text forms of
protocol 0, persistent names in text, extension codes, and whatever builds classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ppresnet.errors import WeightsError
from ppresnet.weights.operands import (
    Reader,
    counted,
    dotted,
    integer,
    nothing,
    number,
    raw,
    take,
    text,
    text_of_python_2,
)


class Instruction(NamedTuple):
    """One instruction of a pickle; `end` is where the next one begins."""

    name: str
    argument: Any
    end: int


def instructions(data: memoryview, start: int, most: int) -> Iterator[Instruction]:
    """Yield the instructions of the pickle that begins at `start`, STOP included.

    Raises:
        WeightsError: it ends too early, has more than `most` instructions, or one that data does not need.
    """
    position = start
    for _ in range(most):
        code = bytes(take(data, position, 1))
        if code not in OPCODES:
            raise WeightsError(f"its pickle has the instruction {code!r} at byte {position}, which weights do not need")
        name, reader = OPCODES[code]
        argument, position = reader(data, position + 1)
        yield Instruction(name, argument, position)
        if name == "STOP":
            return
    raise WeightsError(f"its pickle has more than {most} instructions")


OPCODES: Mapping[bytes, tuple[str, Reader]] = {
    b"\x80": ("PROTO", number("<B")),
    b"\x95": ("FRAME", number("<Q")),
    b".": ("STOP", nothing),
    b"(": ("MARK", nothing),
    b"N": ("NONE", nothing),
    b"\x88": ("TRUE", nothing),
    b"\x89": ("FALSE", nothing),
    b"J": ("VALUE", number("<i")),
    b"K": ("VALUE", number("<B")),
    b"M": ("VALUE", number("<H")),
    b"G": ("VALUE", number(">d")),
    b"\x8a": ("VALUE", counted("<B", integer)),
    b"X": ("VALUE", counted("<I", text)),
    b"\x8c": ("VALUE", counted("<B", text)),
    b"\x8d": ("VALUE", counted("<Q", text)),
    b"T": ("VALUE", counted("<i", text_of_python_2)),
    b"U": ("VALUE", counted("<B", text_of_python_2)),
    b"B": ("VALUE", counted("<I", raw)),
    b"C": ("VALUE", counted("<B", raw)),
    b"\x8e": ("VALUE", counted("<Q", raw)),
    b"\x96": ("VALUE", counted("<Q", raw)),
    b"}": ("DICT", nothing),
    b"]": ("LIST", nothing),
    b"\x8f": ("SET", nothing),
    b"\x90": ("ADDITEMS", nothing),
    b")": ("TUPLE0", nothing),
    b"\x85": ("TUPLE1", nothing),
    b"\x86": ("TUPLE2", nothing),
    b"\x87": ("TUPLE3", nothing),
    b"t": ("TUPLE", nothing),
    b"a": ("APPEND", nothing),
    b"e": ("APPENDS", nothing),
    b"s": ("SETITEM", nothing),
    b"u": ("SETITEMS", nothing),
    b"q": ("PUT", number("<B")),
    b"r": ("PUT", number("<I")),
    b"\x94": ("MEMOIZE", nothing),
    b"h": ("GET", number("<B")),
    b"j": ("GET", number("<I")),
    b"c": ("GLOBAL", dotted),
    b"\x93": ("STACK_GLOBAL", nothing),
    b"R": ("REDUCE", nothing),
    b"\x81": ("NEWOBJ", nothing),
    b"b": ("BUILD", nothing),
    b"Q": ("PERSISTENT", nothing),
}
