from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle.static import InputSpec

from ppresnet.bundle import PARAMS
from ppresnet.errors import BundleError
from ppresnet.export.freeze import freeze
from ppresnet.export.params import named_params, read_params
from ppresnet.paddle_api import has_json


@pytest.fixture(scope="module")
def frozen(model: paddle.nn.Layer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frozen")
    freeze(model, folder, (1, 8, 8), ["json", "pdmodel"] if has_json() else ["pdmodel"])
    return folder


def test_tensors_are_those_of_the_network(model: paddle.nn.Layer, frozen: Path) -> None:
    tensors = named_params(frozen)
    expected = {tensor.name: np.asarray(tensor) for tensor in (*model.parameters(), *model.buffers())}
    if not has_json():
        expected = dict(zip(tensors, (expected[name] for name in sorted(expected)), strict=True))
    assert tensors.keys() == expected.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, expected[name])


def test_other_types_are_read(tmp_path: Path) -> None:
    class Typed(paddle.nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("a", paddle.to_tensor(np.arange(3, dtype=np.int64)))
            self.register_buffer("b", paddle.to_tensor(np.arange(4, dtype=np.float64) / 7))

        def forward(self, x: paddle.Tensor) -> paddle.Tensor:
            return x + self.a.sum().astype("float32") + self.b.sum().astype("float32")

    paddle.jit.save(Typed(), str(tmp_path / "x"), input_spec=[InputSpec([None, 1], "float32")])
    found = read_params(tmp_path / "x.pdiparams")
    assert sorted(tensor.dtype.name for tensor in found) == ["float64", "int64"]
    for tensor in found:
        np.testing.assert_array_equal(tensor, np.arange(3) if tensor.dtype == np.int64 else np.arange(4) / 7)


def test_a_cut_is_always_noticed(frozen: Path, tmp_path: Path) -> None:
    data = (frozen / PARAMS).read_bytes()
    whole = len(read_params(frozen / PARAMS))
    rng = np.random.default_rng(5)
    for length in [1, len(data) - 1, *rng.integers(2, len(data) - 1, 60)]:
        (tmp_path / PARAMS).write_bytes(data[:length])
        try:
            assert len(read_params(tmp_path / PARAMS)) < whole
        except BundleError as error:
            assert "cut off" in str(error)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / PARAMS).write_bytes(b"PK\x03\x04 not parameters at all, but long enough")
    with pytest.raises(BundleError, match="no parameter file"):
        read_params(tmp_path / PARAMS)
