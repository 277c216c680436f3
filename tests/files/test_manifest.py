import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ppresnet.errors import BundleError, CheckpointError
from ppresnet.files import MANIFEST, manifest_bytes, read_verified, verify_manifest, write_manifest

CONTENTS = {"a.bin": b"\0" * 3_000_000, "b.txt": b"", "sub/c.txt": b"hello"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name, data in CONTENTS.items():
        (tmp_path / name).write_bytes(data)
    write_manifest(tmp_path)
    return tmp_path


def test_manifest_is_what_hashlib_and_json_say(folder: Path) -> None:
    listed = json.loads((folder / MANIFEST).read_bytes())
    assert listed["files"] == {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in CONTENTS.items()
    }
    assert (folder / MANIFEST).read_bytes() == manifest_bytes(dict(reversed(CONTENTS.items())))
    verify_manifest(folder)


def test_read_verified_returns_the_bytes(folder: Path) -> None:
    assert read_verified(folder) == CONTENTS
    assert read_verified(folder, names=["b.txt"]) == {"b.txt": b""}


def test_read_verified_reads_each_file_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = Path.open

    def counting(self: Path, *args: Any, **kwargs: Any) -> Any:
        opened.append(self.name)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", counting)
    read_verified(folder, names=["a.bin"])
    assert sorted(opened) == ["a.bin", "b.txt", "c.txt", MANIFEST]


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    listed = json.loads((folder / MANIFEST).read_bytes())
    change(listed)
    (folder / MANIFEST).write_text(json.dumps(listed, indent=1, sort_keys=True) + "\n")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "b.txt").unlink(), r"b\.txt is missing"),
        (lambda f: (f / "new").write_text("x"), r"new is not listed"),
        (lambda f: (f / "b.txt").write_text("x"), r"b\.txt has 1 bytes, expected 0"),
        (lambda f: (f / "sub/c.txt").write_bytes(b"hellp"), r"sub/c\.txt does not match its sha256"),
        (lambda f: (f / MANIFEST).unlink(), r"has no manifest\.json"),
        (lambda f: (f / MANIFEST).write_bytes(b""), r"manifest\.json does not match"),
        (lambda f: (f / MANIFEST).write_bytes(b"[" * 100_000), r"manifest\.json does not match"),
        (lambda f: (f / MANIFEST).write_bytes(b'{"files": {"../x": 1}}'), r"manifest\.json does not match"),
        (lambda f: rewrite(f, lambda m: m["files"].pop("b.txt")), r"manifest\.json does not match"),
        (lambda f: rewrite(f, lambda m: m.update(sha256="0" * 64)), r"manifest\.json does not match"),
        (lambda f: (f / "link").symlink_to("b.txt"), "link or a device"),
        (lambda f: os.mkfifo(f / "pipe"), "link or a device"),
    ],
)
def test_every_damage_is_found_and_named(folder: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(folder)
    with pytest.raises(CheckpointError, match=message):
        verify_manifest(folder)
    with pytest.raises(BundleError, match=message):
        read_verified(folder, BundleError)
