"""CPU or GPU, without Paddle."""

import importlib.metadata
from pathlib import Path

import pytest

from ppresnet.errors import RequestError
from ppresnet.hardware import device
from ppresnet.hardware.device import choose_device, missing_for_gpu


def with_gpu_paddle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.6.2")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_gpu_needs_paddle_device_and_visibility(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_gpu_paddle(monkeypatch)
    assert "no NVIDIA device" in missing_for_gpu(tmp_path)
    (tmp_path / "nvidia0").touch()
    assert missing_for_gpu(tmp_path) == ""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert "hides every GPU" in missing_for_gpu(tmp_path)


def test_gpu_asked_for_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "missing_for_gpu", lambda: "that paddlepaddle-gpu is not installed")
    with pytest.raises(RequestError, match="expected a GPU, found that paddlepaddle-gpu"):
        choose_device("gpu")
    assert choose_device("auto") == "cpu"


def test_unknown_device_is_refused() -> None:
    with pytest.raises(RequestError, match="found 'tpu'"):
        choose_device("tpu")
