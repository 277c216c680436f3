"""Pickles put together instruction by instruction, and the files that torch makes of them."""

import math
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

MAGIC = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
KINDS = {"float32": "Float", "float64": "Double", "float16": "Half", "int64": "Long", "uint8": "Byte", "bool": "Bool"}


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    length = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([length]) + value.to_bytes(length, "little", signed=True)


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def group(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def numbers(values: tuple[int, ...]) -> bytes:
    return group(*(number(value) for value in values))


def call(callee: bytes, *arguments: bytes) -> bytes:
    return callee + group(*arguments) + b"R"


def dictionary(items: Mapping[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def whole(body: bytes, protocol: int = 2) -> bytes:
    return b"\x80" + bytes([protocol]) + body + b"."


def storage(key: str, count: int, kind: str = "Float") -> bytes:
    return group(text("storage"), name("torch", f"{kind}Storage"), text(key), text("cpu"), number(count)) + b"Q"


def tensor(
    key: str, shape: tuple[int, ...], strides: tuple[int, ...] | None = None, offset: int = 0, count: int | None = None,
    kind: str = "Float",
) -> bytes:  # fmt: skip
    """A tensor as torch writes it since 0.4; by default one that fills its storage."""
    if strides is None:
        strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    elements = storage(key, math.prod(shape) if count is None else count, kind)
    hooks = call(name("collections", "OrderedDict"))
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    return call(rebuild, elements, number(offset), numbers(shape), numbers(strides), b"\x89", hooks)


def tensors(state: Mapping[str, np.ndarray]) -> bytes:
    """A state dict, the storages counted from 0."""
    return dictionary(
        {
            one: tensor(str(index), array.shape, kind=KINDS[array.dtype.name])
            for index, (one, array) in enumerate(state.items())
        }
    )


def torch_zip(path: Path, body: bytes, storages: Mapping[str, bytes], **members: bytes) -> Path:
    """A file of torch 1.6 or newer; `data__x` in `members` is the member `data/x`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("archive/data.pkl", whole(body))
        for key, data in storages.items():
            file.writestr(f"archive/data/{key}", data)
        file.writestr("archive/version", b"3\n")
        for member, data in members.items():
            file.writestr(f"archive/{member.replace('__', '/')}", data)
    return path


def torch_stream(body: bytes, storages: Mapping[str, tuple[int, bytes]]) -> bytes:
    """A file of torch before 1.6; storages are counts of elements and bytes."""
    head = [MAGIC, number(1001), dictionary({"protocol_version": number(1001), "little_endian": b"\x88"})]
    keys = b"](" + b"".join(text(key) for key in storages) + b"e"
    behind = b"".join(struct.pack("<q", count) + data for count, data in storages.values())
    return b"".join(whole(part) for part in (*head, body, keys)) + behind


def save_zip(path: Path, state: Mapping[str, np.ndarray]) -> Path:
    """A sound file of torch 1.6 or newer."""
    return torch_zip(path, tensors(state), {str(i): array.tobytes() for i, array in enumerate(state.values())})


def save_stream(path: Path, state: Mapping[str, np.ndarray]) -> Path:
    """A sound file of torch before 1.6."""
    storages = {str(i): (array.size, array.tobytes()) for i, array in enumerate(state.values())}
    path.write_bytes(torch_stream(tensors(state), storages))
    return path
