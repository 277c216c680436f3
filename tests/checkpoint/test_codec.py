from typing import Any

import numpy as np
import pytest

from ppresnet.checkpoint.codec import Checkpoint, decode, encode


def checkpoint(**changes: Any) -> Checkpoint:
    parts = ("weights", "optimizer", "ema", "spec", "config", "progress")
    return Checkpoint(**{part: changes.get(part, {}) for part in parts})


ARRAYS = {
    "float16": np.array([1, np.inf, np.nan, 6e-8], np.float16),
    "bfloat16 bits": np.array([0x3F80, 0x7FC0, 0x0001], np.uint16),
    "int64": np.array([[-(2**63), 2**63 - 1]]),
    "bool": np.array([True, False]),
    "complex": np.array([1 + 2j], np.complex64),
    "scalar": np.array(3.5),
    "empty": np.zeros((0, 3), np.float32),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "transposed": np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1),
    "strided": np.arange(10)[::-3],
    "broadcast": np.broadcast_to(np.float32(2), (2, 2)),
    "big endian": np.array([1.5, -2], ">f4"),
    "minus zero": np.array(-0.0),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_survive_with_shape_dtype_and_bits(name: str) -> None:
    value = ARRAYS[name]
    for kind in ("weights", "optimizer", "ema"):
        back = getattr(decode(encode(checkpoint(**{kind: {name: value}}))), kind)[name]
        assert back.shape == value.shape
        assert back.dtype == value.dtype.newbyteorder("=")
        assert back.tobytes() == np.array(value, back.dtype, order="C").tobytes()
        assert back.flags.writeable


def test_empty_parts_survive() -> None:
    contents = encode(checkpoint())
    assert "ema.safetensors" not in contents
    assert decode(contents) == checkpoint()


def test_json_data_survives() -> None:
    data = {"ä": [1, 2.5, None, True, "x\n"], "deep": {"lr": 0.1 + 0.2, "big": 2**80}}
    assert decode(encode(checkpoint(config=data))).config == data


def test_bytes_do_not_depend_on_the_order_of_keys_or_of_memory() -> None:
    value = np.arange(6.0).reshape(2, 3)
    one = checkpoint(weights={"a": value, "b": value}, progress={"x": 1, "y": 2})
    other = checkpoint(weights={"b": np.asfortranarray(value), "a": value.copy()}, progress={"y": 2, "x": 1})
    assert encode(one) == encode(other)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), np.float32(1), object()])
def test_what_json_has_no_word_for_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="progress is not JSON"):
        encode(checkpoint(progress={"best": {"loss": value}}))


@pytest.mark.parametrize("value", [np.array(["x"]), np.array([None]), np.array([1j]), np.array([1], np.longdouble)])
def test_arrays_that_cannot_be_stored_are_refused(value: np.ndarray[Any, Any]) -> None:
    with pytest.raises(ValueError, match=r"weights: conv\.w has dtype"):
        encode(checkpoint(weights={"conv.w": value}))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("spec.json", b"[1]"),
        ("spec.json", b'{"a": NaN}'),
        ("spec.json", b'{"a": ' * 100_000),
        ("spec.json", b"\xff"),
        ("weights.safetensors", b""),
        ("weights.safetensors", b"\xff" * 64),
        ("weights.safetensors", b'\x3b\0\0\0\0\0\0\0{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}     \0\0'),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_a_value_error(name: str, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode({**encode(checkpoint()), name: data})
