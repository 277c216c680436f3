"""Every format against the arrays it was made of, and against files that the libraries themselves wrote."""

import argparse
import collections
import json
import pickle
import struct
from pathlib import Path

import numpy as np
import paddle
import pytest
import safetensors.numpy
from pickles import call, dictionary, name, number, numbers, save_stream, save_zip, storage, tensor, text, torch_zip

from ppresnet.errors import WeightsError
from ppresnet.weights import read_weights

RNG = np.random.default_rng(5)
STATE = {
    "conv.weight": RNG.standard_normal((4, 3, 2, 2)).astype(np.float32),
    "bn.count": np.array(17, np.int64),
    "fc.bias": RNG.standard_normal(5).astype(np.float32),
    "empty": np.zeros((0, 3), np.float32),
}


def assert_same(found: object, expected: dict[str, np.ndarray]) -> None:
    assert isinstance(found, dict)
    assert found.keys() == expected.keys()
    for one, array in expected.items():
        np.testing.assert_array_equal(found[one], array, err_msg=one)
        assert (found[one].dtype, found[one].shape) == (array.dtype, array.shape)


def bfloat16(array: np.ndarray) -> np.ndarray:
    """The upper half of each float32."""
    return (array.view(np.uint32) >> 16).astype(np.uint16)


def test_safetensors(tmp_path: Path) -> None:
    safetensors.numpy.save_file(STATE, tmp_path / "x.safetensors")
    weights = read_weights(tmp_path / "x.safetensors")
    assert_same(weights.tensors, STATE)
    assert (weights.format, weights.notes) == ("safetensors", ())


def test_torch_zip(tmp_path: Path) -> None:
    weights = read_weights(save_zip(tmp_path / "x.pth", STATE))
    assert_same(weights.tensors, STATE)
    assert (weights.format, weights.notes) == ("torch zip", ())


def test_torch_stream(tmp_path: Path) -> None:
    weights = read_weights(save_stream(tmp_path / "x.th", STATE))
    assert_same(weights.tensors, STATE)
    assert (weights.format, weights.notes) == ("torch stream", ())


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_paddle_save(tmp_path: Path, protocol: int) -> None:
    layer = paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 2), paddle.nn.BatchNorm2D(4))
    paddle.save(layer.state_dict(), str(tmp_path / "x.pdparams"), protocol=protocol)
    weights = read_weights(tmp_path / "x.pdparams")
    assert_same(weights.tensors, {one: tensor.numpy() for one, tensor in layer.state_dict().items()})
    assert (weights.format, weights.notes) == ("paddle pickle", ())


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_paddle_save_of_a_nested_dictionary_has_pairs(tmp_path: Path, protocol: int) -> None:
    layer = paddle.nn.Linear(3, 4)
    found = {"epoch": 3, "model": layer.state_dict(), "best": [0.5, None, True]}
    paddle.save(found, str(tmp_path / "x.pdparams"), protocol=protocol)
    weights = read_weights(tmp_path / "x.pdparams")
    assert_same(weights.tensors, {one: tensor.numpy() for one, tensor in layer.state_dict().items()})
    assert weights.notes == ("took 'model'; the file also holds 'epoch', 'best'",)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_numpy_arrays_of_every_layout(tmp_path: Path, protocol: int) -> None:
    base = RNG.standard_normal((3, 4, 5))
    state = {
        "columns": np.asfortranarray(base.astype(np.float32)),
        "big endian": base.astype(">f4"),
        "bool": base > 0,
        "int": (base * 100).astype(np.int16),
        "none": np.zeros((2, 0), np.float32),
        "scalar": np.array(2.5, np.float32),
        "strided": base.astype(np.float32)[:, ::2],
    }
    (tmp_path / "x.pdparams").write_bytes(pickle.dumps(state, protocol))
    found = read_weights(tmp_path / "x.pdparams").tensors
    assert_same(found, {one: array.astype(array.dtype.newbyteorder("=")) for one, array in state.items()})


def test_other_floats_become_float32_and_it_is_said(tmp_path: Path) -> None:
    exact = np.array([1.0, -2.5, 0.15625, 3e4], np.float32)
    entries = {"F16": exact.astype(np.float16).tobytes(), "BF16": bfloat16(exact).tobytes()}
    entries["F64"] = exact.astype(np.float64).tobytes()
    header, data = {}, b""
    for kind, content in entries.items():
        header[kind] = {"dtype": kind, "shape": [4], "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    packed = json.dumps(header).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(packed)) + packed + data)
    weights = read_weights(tmp_path / "x.safetensors")
    cut = (exact.view(np.uint32) & 0xFFFF0000).view(np.float32)
    assert_same(weights.tensors, {**dict.fromkeys(("F16", "F64"), exact), "BF16": cut})
    assert weights.notes == tuple(f"1 tensor of {kind} became float32" for kind in ("float16", "bfloat16", "float64"))


def test_bfloat16_of_torch_and_of_paddle(tmp_path: Path) -> None:
    exact = np.array([1.0, -2.5, 0.15625], np.float32)
    body = dictionary({"w": tensor("0", (3,), kind="BFloat16")})
    found = read_weights(torch_zip(tmp_path / "x.pth", body, {"0": bfloat16(exact).tobytes()}))
    assert_same(found.tensors, {"w": exact})
    (tmp_path / "x.pdparams").write_bytes(pickle.dumps({"w": bfloat16(exact)}, 2))
    assert_same(read_weights(tmp_path / "x.pdparams").tensors, {"w": exact})


def test_views_share_a_storage_as_torch_shares_it(tmp_path: Path) -> None:
    flat = np.arange(24, dtype=np.float32)
    parameter = call(name("torch._utils", "_rebuild_parameter"), tensor("0", (24,)), b"\x88", b"}")
    old = call(name("torch._utils", "_rebuild_tensor"), storage("0", 24), number(20), numbers((4,)), numbers((1,)))
    views = {
        "transposed": tensor("0", (4, 6), (1, 4), count=24),
        "part": tensor("0", (2, 3), (6, 1), offset=8, count=24),
        "parameter": parameter,
        "old": old,
    }
    found = read_weights(torch_zip(tmp_path / "x.pth", dictionary(views), {"0": flat.tobytes()})).tensors
    part = flat.reshape(4, 6)[1:3, 2:5]
    assert_same(found, {"transposed": flat.reshape(6, 4).T, "part": part, "parameter": flat, "old": flat[20:]})


def test_nesting_and_prefixes_are_taken_off_and_it_is_said(tmp_path: Path) -> None:
    inner = {f"module.{one}": array for one, array in STATE.items()}
    found = {"epoch": 3, "optimizer": {"lr": [0.1]}, "state_dict": inner, "state_dict_ema": {"a": STATE["fc.bias"]}}
    path = tmp_path / "x.pdparams"
    path.write_bytes(pickle.dumps(found, 4))
    weights = read_weights(path)
    assert_same(weights.tensors, STATE)
    assert weights.notes == (
        "took 'state_dict'; the file also holds 'epoch', 'optimizer', 'state_dict_ema'",
        "took the prefix 'module.' off every name",
    )
    assert_same(read_weights(path, entry="state_dict_ema").tensors, {"a": STATE["fc.bias"]})
    with pytest.raises(WeightsError, match="no entry 'teacher'"):
        read_weights(path, entry="teacher")


def test_what_is_no_tensor_is_left_out_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.pdparams"
    path.write_bytes(pickle.dumps({"a": STATE["fc.bias"], "LR_Scheduler": {"last_lr": 0.1}, "step": 4}, 4))
    assert read_weights(path).notes == ("left out what is no tensor: 'LR_Scheduler', 'step'",)


def test_attributes_and_settings_are_dropped(tmp_path: Path) -> None:
    ordered = call(name("collections", "OrderedDict"))
    metadata = dictionary({"_metadata": ordered})
    state = ordered + b"(" + text("w") + tensor("0", (2,)) + b"u" + metadata + b"b"
    settings = name("argparse", "Namespace") + b")\x81" + dictionary({"lr": b"G" + struct.pack(">d", 0.1)}) + b"b"
    path = torch_zip(tmp_path / "x.pth", dictionary({"args": settings, "model": state}), {"0": bytes(8)})
    assert_same(read_weights(path).tensors, {"w": np.zeros(2, np.float32)})


def test_python_2_wrote_text_as_bytes(tmp_path: Path) -> None:
    body = b"}U\x01w" + tensor("0", (2,)) + b"s"
    assert_same(
        read_weights(torch_zip(tmp_path / "x.pth", body, {"0": bytes(8)})).tensors, {"w": np.zeros(2, np.float32)}
    )


def test_a_published_file_of_old_torch(shared: Path) -> None:
    weights = read_weights(shared / "reference" / "third_party" / "resnet20-12fca82f.th")
    assert weights.format == "torch stream"
    assert len(weights.tensors) == 97
    assert sum(array.size for one, array in weights.tensors.items() if "running" not in one) == 269_722
    assert weights.notes[1] == "took the prefix 'module.' off every name"


@pytest.mark.parametrize("protocol", [2, 4])
def test_what_training_scripts_keep_beside_the_weights(tmp_path: Path, protocol: int) -> None:
    beside = {
        "best": np.float64(76.1),
        "history": collections.defaultdict(list, {"loss": [1.0]}),
        "milestones": collections.Counter([30, 60]),
        "args": argparse.Namespace(lr=0.1, tags={"a"}),
    }
    (tmp_path / "x.pth").write_bytes(pickle.dumps({**beside, "net": {"w": STATE["fc.bias"]}}, protocol))
    weights = read_weights(tmp_path / "x.pth")
    assert_same(weights.tensors, {"w": STATE["fc.bias"]})
    assert weights.notes == ("took 'net'; the file also holds 'best', 'history', 'milestones', 'args'",)
