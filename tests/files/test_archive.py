import os
import pickle
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ppresnet.errors import DataError
from ppresnet.files import open_zip, safe_member

MB = 1 << 20


def pack(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return pack(tmp_path / "good.zip", {"train/": b"", "train/b.png": os.urandom(2000), "train/a.png": b"a" * 2000})


def test_members_and_contents(good: Path) -> None:
    archive = open_zip(good)
    assert archive.members() == ["train/b.png", "train/a.png"]
    assert archive.read("train/a.png", 2000) == b"a" * 2000
    archive.close()
    assert archive.read("train/a.png", 2000) == b"a" * 2000
    archive.close()


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../../x", "..", "a\\..\\x", "C:/x", "C:x", "a\0b"])
def test_unsafe_names_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="unsafe member name"):
        safe_member(name)


@pytest.mark.parametrize("name", ["a", "a/b.png", "a..b", "..a/b", "ä/ü.png", ".hidden", "a/"])
def test_safe_names_pass(name: str) -> None:
    assert safe_member(name) == name


def link(path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(info, "/etc/passwd")


def twice(path: Path) -> None:
    pack(path, {"abc/x": b"1", "abd/x": b"2"}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"abd/x", b"abc/x"))


def same_after_dots(path: Path) -> None:
    pack(path, {"a/x": b"1", "a/./x": b"2"})


def encrypted(path: Path) -> None:
    pack(path, {"x": b"1"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)


def nul(path: Path) -> None:
    pack(path, {"a.pngZb": b"1"})
    path.write_bytes(path.read_bytes().replace(b"a.pngZb", b"a.png\0b"))


def lzma(path: Path) -> None:
    pack(path, {"x": b"1"}, zipfile.ZIP_LZMA)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (link, "link or a device"),
        (twice, "appears twice"),
        (same_after_dots, "appears twice"),
        (encrypted, "is encrypted"),
        (nul, "unsafe member name"),
        (lzma, "compression method 14"),
        (lambda p: pack(p, {"../x": b""}), "unsafe member name"),
        (lambda p: p.write_bytes(b"PK no zip"), "cannot be opened as a zip file"),
        (lambda p: None, "No such file"),
    ],
)
def test_hostile_archives_are_refused_on_opening(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    make(tmp_path / "x.zip")
    with pytest.raises(DataError, match=message):
        open_zip(tmp_path / "x.zip")


def test_too_many_members(good: Path) -> None:
    with pytest.raises(DataError, match="3 members, at most 2"):
        open_zip(good, max_members=2)


def test_declared_size_over_the_limit(good: Path) -> None:
    with pytest.raises(DataError, match="unpacks to 2000 bytes, at most 1999"):
        open_zip(good).read("train/a.png", 1999)


def test_missing_member(good: Path) -> None:
    with pytest.raises(DataError, match=r"no member 'train/c\.png'"):
        open_zip(good).read("train/c.png", 10)


def test_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    archive = open_zip(pack(tmp_path / "bomb.zip", {"zeros": bytes(8 * MB), "small": bytes(MB)}))
    with pytest.raises(DataError, match="packed more than 200-fold"):
        archive.read("zeros", 64 * MB)
    assert archive.read("small", MB) == bytes(MB)


@pytest.mark.parametrize("claimed", [10, 4000])
def test_a_lie_about_the_size_is_found(tmp_path: Path, claimed: int) -> None:
    path = pack(tmp_path / "lie.zip", {"x": os.urandom(2000)})
    path.write_bytes(path.read_bytes().replace(struct.pack("<L", 2000), struct.pack("<L", claimed)))
    with pytest.raises(DataError, match=r"lie\.zip: x"):
        open_zip(path).read("x", 4000)


def test_flipped_bit_in_a_member_is_found(tmp_path: Path) -> None:
    path = pack(tmp_path / "flip.zip", {"x": b"payload" * 10}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"payload", b"paxload", 1))
    with pytest.raises(DataError, match="cannot be read"):
        open_zip(path).read("x", 100)


def test_pickles_as_its_path(good: Path) -> None:
    archive = open_zip(good)
    data = pickle.dumps(archive)
    assert len(data) < 600
    assert pickle.loads(data).read("train/a.png", 2000) == b"a" * 2000  # noqa: S301


def test_a_forked_child_opens_its_own_file(good: Path) -> None:
    archive = open_zip(good)
    before = archive._file
    child = os.fork()
    if child == 0:
        fine = archive.read("train/a.png", 2000) == b"a" * 2000 and archive._file is not before
        os._exit(0 if fine else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert archive._file is before
