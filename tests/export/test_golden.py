import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tiny_network

from ppresnet.config import from_dict
from ppresnet.data import open_split, preprocess_of
from ppresnet.errors import DataError
from ppresnet.export.golden import random_inputs, real_inputs, write_golden

CONFIG = tiny_network.tiny_config()
PREPROCESS = preprocess_of(CONFIG.data, 1)


def test_numpy_reads_what_was_written(tmp_path: Path) -> None:
    inputs, outputs = random_inputs(4, PREPROCESS), np.arange(40, dtype=np.float32).reshape(4, 10)
    write_golden(tmp_path / "golden.npz", inputs, outputs.T.copy().T)
    with np.load(tmp_path / "golden.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["inputs", "outputs"]
        np.testing.assert_array_equal(arrays["inputs"], inputs)
        np.testing.assert_array_equal(arrays["outputs"], outputs)
        assert arrays["outputs"].flags.c_contiguous


def test_bytes_depend_on_nothing_but_the_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, outputs = random_inputs(2, PREPROCESS), np.ones((2, 10), np.float32)
    write_golden(tmp_path / "a", inputs, outputs)
    monkeypatch.setattr("time.time", lambda: 2e9)
    write_golden(tmp_path / "b", inputs, outputs)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with zipfile.ZipFile(io.BytesIO((tmp_path / "a").read_bytes())) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


def test_random_inputs_are_always_the_same_and_normal() -> None:
    inputs = random_inputs(64, PREPROCESS)
    np.testing.assert_array_equal(inputs, random_inputs(64, PREPROCESS))
    assert inputs.dtype == np.float32
    assert inputs.shape == (64, 1, 8, 8)
    assert abs(inputs.mean()) < 0.05
    assert abs(inputs.std() - 1) < 0.05


def test_real_inputs_are_preprocessed_images_of_the_split() -> None:
    source = open_split(CONFIG.data, "val", in_channels=1, num_classes=10)
    all_of_them = np.stack([PREPROCESS(source.image(index)) for index in range(len(source))])
    inputs = real_inputs(4, CONFIG, PREPROCESS)
    assert inputs.shape == (4, 1, 8, 8)
    for image in inputs:
        assert (all_of_them == image).all(axis=(1, 2, 3)).any()


def test_no_data_set_is_said(tmp_path: Path) -> None:
    config = from_dict({"name": "x", "data": {"format": "folder", "root": str(tmp_path / "none")}})
    with pytest.raises(DataError):
        real_inputs(4, config, PREPROCESS)
