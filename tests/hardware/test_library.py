"""MKL of the installed Paddle, found without importing it."""

import importlib.metadata
import sys
from pathlib import Path

import pytest

from ppresnet.hardware import library
from ppresnet.hardware.library import library_identity, mkl_library, paddle_version


def wheel(folder: Path) -> Path:
    """A folder `paddle` that says so when it is imported, with MKL in it."""
    (folder / "paddle" / "libs").mkdir(parents=True)
    (folder / "paddle" / "__init__.py").write_text("raise AssertionError('imported')")
    path = folder / "paddle" / "libs" / "libmklml_intel.so"
    path.write_bytes(b"mkl")
    return path


def test_library_is_found_without_an_import(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = wheel(tmp_path)
    monkeypatch.delitem(sys.modules, "paddle", raising=False)
    monkeypatch.setattr(library.platform, "machine", lambda: "x86_64")
    monkeypatch.syspath_prepend(tmp_path)
    assert mkl_library() == path
    monkeypatch.setattr(library.platform, "machine", lambda: "aarch64")
    assert mkl_library() is None


def test_library_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library.importlib.util, "find_spec", lambda _: None)
    assert mkl_library() is None


def test_identity_changes_with_the_file(tmp_path: Path) -> None:
    path = wheel(tmp_path)
    before = library_identity(path)
    assert before == library_identity(path)
    path.write_bytes(b"another mkl")
    assert library_identity(path) != before
    assert paddle_version() in before


def test_version_is_that_of_the_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"paddlepaddle-gpu": "2.6.2"}

    def version(name: str) -> str:
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert paddle_version() == "2.6.2"
    installed["paddlepaddle"] = "3.3.1"
    assert paddle_version() == "3.3.1"
    installed.clear()
    assert paddle_version() == "unknown"
