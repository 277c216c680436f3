"""The stack machine against Python's own pickle on plain data, and against files with flipped bytes."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from pickles import save_stream, save_zip, text, whole

from ppresnet.errors import WeightsError
from ppresnet.weights import Limits, read_weights
from ppresnet.weights.machine import evaluate

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**900), 2**900) | st.floats(allow_nan=False) | st.text() | st.binary()
)
PLAIN = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=20,
)


def plain(value: Any) -> Any:
    """The machine leaves bytes where they are in the file."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


@given(PLAIN, st.integers(3, 5))
def test_plain_data_is_what_pickle_makes_of_it(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    found, end = evaluate(memoryview(data), 0, {}, 10_000)
    assert plain(found) == value
    assert end == len(data)


def test_a_value_that_holds_itself_is_only_a_value() -> None:
    loop: list[Any] = []
    loop.append(loop)
    found, _ = evaluate(memoryview(pickle.dumps(loop, 4)), 0, {}, 100)
    assert found[0] is found


def test_the_end_is_the_byte_behind_stop() -> None:
    data = whole(text("a")) + whole(text("b")) + b"behind"
    first, end = evaluate(memoryview(data), 0, {}, 10)
    second, end = evaluate(memoryview(data), end, {}, 10)
    assert (first, second, data[end:]) == ("a", "b", b"behind")


def sound(folder: Path) -> list[bytes]:
    state = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(3, np.float32)}
    files = [save_zip(folder / "x.pth", state), save_stream(folder / "x.th", state)]
    pickles = [pickle.dumps(state, 2), pickle.dumps(state, 4)]
    return [*(path.read_bytes() for path in files), *pickles, safetensors.numpy.save(state)]


@settings(max_examples=300)
@given(st.data())
def test_flipped_bytes_end_in_tensors_or_in_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    content = bytearray(data.draw(st.sampled_from(sound(folder))))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    (folder / "flipped").write_bytes(content[: data.draw(st.integers(0, len(content)))] or content)
    try:
        tensors = read_weights(folder / "flipped", limits=Limits(bytes=2**20)).tensors
    except WeightsError as error:
        assert str(error).startswith(str(folder / "flipped"))
    else:
        assert all(isinstance(array, np.ndarray) and array.nbytes < 2**20 for array in tensors.values())
