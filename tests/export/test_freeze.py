from collections.abc import Callable
from pathlib import Path
from typing import Any

import paddle
import pytest

from ppresnet.bundle import JSON, PARAMS, PDMODEL
from ppresnet.errors import CheckFailedError, PpresnetError, StorageError
from ppresnet.export import freeze as module
from ppresnet.export.freeze import freeze
from ppresnet.paddle_api import has_json, save_program

SHAPE = (1, 8, 8)
both = pytest.mark.skipif(not has_json(), reason="this Paddle writes .pdmodel only")


def altered(monkeypatch: pytest.MonkeyPatch, change: Callable[[Path, str], None]) -> None:
    """Let `change(prefix, format)` do something to what Paddle has just written."""

    def save(layer: Any, prefix: Path, inputs: Any, format: Any) -> None:
        save_program(layer, prefix, inputs, format)
        change(prefix, format)

    monkeypatch.setattr(module, "save_program", save)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@both
def test_two_programs_share_one_parameter_file_and_nothing_is_pickled(model: paddle.nn.Layer, tmp_path: Path) -> None:
    freeze(model, tmp_path, SHAPE, ["json", "pdmodel"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [JSON, PARAMS, PDMODEL]


def test_half_written_parameters_are_noticed(
    model: paddle.nn.Layer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered(monkeypatch, lambda prefix, format: cut(prefix.with_suffix(".pdiparams")))
    with pytest.raises(StorageError, match="disk"):
        freeze(model, tmp_path, SHAPE, ["pdmodel"])


def test_a_flipped_bit_is_noticed(model: paddle.nn.Layer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flip(prefix: Path, format: str) -> None:
        data = bytearray(prefix.with_suffix(".pdiparams").read_bytes())
        data[-5] ^= 1
        prefix.with_suffix(".pdiparams").write_bytes(data)

    altered(monkeypatch, flip)
    with pytest.raises(StorageError, match="is not the network's"):
        freeze(model, tmp_path, SHAPE, ["pdmodel"])


@both
def test_a_half_written_program_is_noticed(
    model: paddle.nn.Layer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered(monkeypatch, lambda prefix, format: cut(prefix.with_suffix(".json")))
    with pytest.raises(StorageError, match="cut off"):
        freeze(model, tmp_path, SHAPE, ["json"])


def test_a_missing_file_is_noticed(model: paddle.nn.Layer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    altered(monkeypatch, lambda prefix, format: prefix.with_suffix(".pdmodel").unlink())
    with pytest.raises(StorageError, match="no content"):
        freeze(model, tmp_path, SHAPE, ["pdmodel"])


@both
def test_formats_with_other_parameters_are_refused(
    model: paddle.nn.Layer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered(monkeypatch, lambda prefix, format: cut(prefix.with_suffix(".pdiparams")) if format == "pdmodel" else None)
    monkeypatch.setattr(module, "_check_params", lambda model, path: None)
    with pytest.raises(CheckFailedError, match="same parameters"):
        freeze(model, tmp_path, SHAPE, ["json", "pdmodel"])


def test_what_paddle_raises_is_named(model: paddle.nn.Layer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("(Unavailable) Cannot open")

    monkeypatch.setattr(module, "save_program", fail)
    with pytest.raises(PpresnetError, match=r"could not save inference\.pdmodel: RuntimeError: .*Cannot open"):
        freeze(model, tmp_path, SHAPE, ["pdmodel"])
