"""The protobuf wire format (protobuf.dev, "Encoding"), as far as `.pdmodel` files need it; no schema, no library."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10


class Field(NamedTuple):
    """One field of a message: its number, the kind of its value, and the value."""

    number: int
    kind: int
    value: int | bytes

    @property
    def data(self) -> bytes:
        """The value of a string, a message or packed numbers.

        Raises:
            ValueError: it is a number.
        """
        if isinstance(self.value, int):
            raise ValueError(f"field {self.number} is a number, expected bytes")
        return self.value


def fields(message: bytes) -> Iterator[Field]:
    """Yield the fields of a message in their order.

    Raises:
        ValueError: the bytes are no message.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield Field(number, kind, value)
            continue
        if kind == BYTES:
            size, at = _varint(message, at)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
        if size > len(message) - at:
            raise ValueError(f"a field of {size} bytes at byte {at}, of {len(message)}")
        yield Field(number, kind, message[at : at + size])
        at += size


def message_of(found: Iterable[Field]) -> bytes:
    """Return the message with the given fields: the opposite of `fields`."""
    out = bytearray()
    for number, kind, value in found:
        out += _encoded(number << 3 | kind)
        if isinstance(value, int):
            out += _encoded(value)
        else:
            out += (_encoded(len(value)) if kind == BYTES else b"") + value
    return bytes(out)


def signed(value: int) -> int:
    """Return a varint as the signed 64-bit number it stands for."""
    return value - (1 << 64) if value >> 63 else value


def numbers(packed: bytes) -> list[int]:
    """Return the varints of a packed field, signed."""
    found, at = [], 0
    while at < len(packed):
        value, at = _varint(packed, at)
        found.append(signed(value))
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(_LONGEST_VARINT):
        if at + index >= len(data):
            break
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise ValueError(f"no number at byte {at}")


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
