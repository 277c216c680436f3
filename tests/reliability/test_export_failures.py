"""A write that fails at any point of an export is an error, and the bundle that stood there is untouched."""

import contextlib
import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import export
import numpy as np
import pytest
import tiny_network

from ppresnet import cli
from ppresnet.bundle import read_bundle
from ppresnet.checkpoint import read
from ppresnet.errors import PpresnetError, StorageError
from ppresnet.export.golden import random_inputs
from ppresnet.export.onnx import can_convert, convert
from ppresnet.export.stage import Subject, subject_of, write_deploy, write_files
from ppresnet.files import staged_directory
from ppresnet.paddle_api import has_json

FORMATS = ("json", "pdmodel") if has_json() else ("pdmodel",)


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process and its children grow beyond `size` bytes, as a full disk would not either."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def put(subject: Subject, target: Path) -> None:
    with staged_directory(target, replace=True) as staging:
        write_files(subject, staging, FORMATS, random_inputs(4, subject.preprocess))
        write_deploy(subject, staging, [], [])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    step = tiny_network.save_tiny(folder / "first")
    put(subject_of(read(step), step, tiny_network.tiny_config()), folder / "bundle")
    return folder / "bundle"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    step = tiny_network.save_tiny(tmp_path_factory.mktemp("other"), seed=1)
    return subject_of(read(step), step, tiny_network.tiny_config())


@pytest.mark.parametrize("sizes", [12, pytest.param(50, marks=pytest.mark.slow)])
def test_full_disks(sizes: int, old: Path, other: Subject) -> None:
    before = contents(old)
    largest = max(len(data) for data in before.values())
    # A .pdmodel holds the call stack of each layer, so that two of one network differ a little in size.
    for size in np.linspace(0, 0.8 * largest, sizes).astype(int):
        with largest_file(int(size)), pytest.raises(PpresnetError) as caught:
            put(other, old)
        assert str(caught.value).strip()
        assert contents(old) == before, f"at {size} bytes"
        assert not list(old.parent.glob(".*")), "nothing is left behind"
    read_bundle(old)


def test_twenty_failing_writes(old: Path, other: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    before, failures = contents(old), 0
    for number in range(20):
        code = (errno.ENOSPC, errno.EDQUOT, errno.EIO)[number % 3]
        with monkeypatch.context() as patch:
            calls = [0]
            for owner, name in ((Path, "write_bytes"), (os, "fsync"), (Path, "mkdir")):
                patch.setattr(owner, name, failing(getattr(owner, name), calls, number, code))
            try:
                put(other, old)
            except StorageError as error:
                failures += 1
                assert os.strerror(code) in str(error)
        if calls[0] <= number:
            break
        # Only the very last fsync comes after the exchange: then the new bundle stands there whole.
        if contents(old) != before:
            read_bundle(old)
            before = contents(old)
    assert failures >= 8
    read_bundle(old)


def failing(real: Any, calls: list[int], number: int, code: int) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == number + 1:
            raise OSError(code, os.strerror(code), str(args[0]))
        return real(*args, **kwargs)

    return call


@pytest.mark.skipif(not can_convert(), reason="paddle2onnx is not installed")
def test_a_full_disk_under_the_converter(old: Path, tmp_path: Path) -> None:
    for name in ("inference.json", "inference.pdmodel", "inference.pdiparams"):
        (tmp_path / name).write_bytes((old / name).read_bytes())
    with largest_file(4096), pytest.raises(PpresnetError, match=r"model.onnx could not be made"):
        convert(tmp_path)


def test_the_tool_says_so_and_leaves_the_old_bundle(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = tiny_network.save_tiny(tmp_path, seed=2)
    before = contents(old)
    arguments = export.parse(["--checkpoint", str(step), "--output", str(old)])
    with largest_file(10_000):
        assert cli.run(export.main, arguments) == 1
    assert "error: " in capsys.readouterr().err
    assert contents(old) == before
