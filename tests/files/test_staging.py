import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ppresnet.errors import BundleError, RequestError, StorageError
from ppresnet.files import (
    MANIFEST,
    atomic_write,
    expect_apart,
    remove_directory,
    remove_stale_staging,
    staged_directory,
    staging,
    verify_manifest,
)


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(target: Path, text: str, *, replace: bool = False) -> None:
    with staged_directory(target, replace=replace) as folder:
        (folder / "a.txt").write_text(text)


def test_atomic_write_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "file.txt"
    atomic_write(path, b"old")
    atomic_write(path, "größer")
    assert path.read_bytes() == "größer".encode()
    assert names(path.parent) == ["file.txt"]


def test_writes_that_the_kernel_cuts_short_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    atomic_write(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_atomic_write_obeys_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "file", b"x")
        write(tmp_path / "folder", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


def test_atomic_write_through_a_link_keeps_the_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    atomic_write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_atomic_write_into_a_device_or_a_pipe_leaves_it_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    atomic_write(tmp_path / "null", "x")
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    atomic_write(tmp_path / "fifo", "größer")
    assert os.read(reader, 100).decode() == "größer"
    os.close(reader)
    assert (tmp_path / "null").is_char_device()
    assert (tmp_path / "fifo").is_fifo()
    assert names(tmp_path) == ["fifo", "null"]
    program = "from ppresnet.files import atomic_write; atomic_write('/dev/stdout', 'told')"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.check_output([sys.executable, "-c", program], env=environment) == b"told"


def test_atomic_write_failure_names_path_reason_and_remedy(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(StorageError, match=r"cannot write .*taken: Is a directory \(EISDIR\)") as caught:
        atomic_write(tmp_path / "taken", b"x")
    assert isinstance(caught.value.__cause__, OSError)
    assert names(tmp_path) == ["taken"]


def test_staged_directory_appears_only_when_whole(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    with staged_directory(target) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "b.bin").write_bytes(b"\0\1")
        assert folder.parent == tmp_path
        assert not target.exists()
    assert names(target) == [MANIFEST, "sub"]
    verify_manifest(target, BundleError)
    assert names(tmp_path) == ["bundle"]


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
def test_staged_directory_leaves_nothing_when_the_body_fails(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), staged_directory(tmp_path / "bundle") as folder:
        (folder / "a").write_text("half")
        raise error
    assert names(tmp_path) == []


def test_staged_directory_refuses_an_existing_target(tmp_path: Path) -> None:
    write(tmp_path / "bundle", "old")
    with pytest.raises(RequestError, match="exists already"), staged_directory(tmp_path / "bundle"):
        pytest.fail("the body must not run")
    assert (tmp_path / "bundle" / "a.txt").read_text() == "old"


def test_an_empty_folder_counts_as_free(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    write(tmp_path / "bundle", "new")
    assert (tmp_path / "bundle" / "a.txt").read_text() == "new"


@pytest.mark.parametrize("exchange", [True, False])
def test_replace_swaps_the_whole_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool) -> None:
    if not exchange:
        monkeypatch.setattr(staging, "_exchange", lambda one, other: False)
    write(tmp_path / "bundle", "old")
    write(tmp_path / "bundle", "new", replace=True)
    verify_manifest(tmp_path / "bundle")
    assert (tmp_path / "bundle" / "a.txt").read_text() == "new"
    assert names(tmp_path) == ["bundle"]


def test_replace_never_deletes_what_is_not_ours(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "wedding.jpg").write_bytes(b"x")
    with pytest.raises(RequestError, match=r"not written by ppresnet"), staged_directory(photos, replace=True):
        pytest.fail("the body must not run")
    write(tmp_path / "bundle", "old")
    (tmp_path / "bundle" / "notes.md").write_text("keep")
    with pytest.raises(RequestError, match=r"notes\.md"), staged_directory(tmp_path / "bundle", replace=True):
        pytest.fail("the body must not run")
    assert names(photos) == ["wedding.jpg"]
    assert "notes.md" in names(tmp_path / "bundle")


@pytest.mark.parametrize("text", ['{"name": "my web app"}', '{"files": {}, "sha256": "0"}', "not JSON", ""])
def test_replace_refuses_a_manifest_of_something_else(tmp_path: Path, text: str) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / MANIFEST).write_text(text)
    (app / "index.html").write_text("mine")
    with pytest.raises(RequestError, match="ppresnet did not write"), staged_directory(app, replace=True):
        pytest.fail("the body must not run")
    assert names(app) == ["index.html", MANIFEST]


@pytest.mark.parametrize("replace", [False, True])
def test_what_appears_in_the_body_is_not_replaced(tmp_path: Path, replace: bool) -> None:
    target = tmp_path / "bundle"
    with pytest.raises(RequestError), staged_directory(target, replace=replace) as folder:
        (folder / "a.txt").write_text("second")
        target.mkdir()
        (target / "a.txt").write_text("first")
    assert (target / "a.txt").read_text() == "first"
    assert names(tmp_path) == ["bundle"]


@pytest.mark.parametrize("replace", [False, True])
def test_of_two_writers_at_once_the_second_replaces_only_where_it_may(tmp_path: Path, replace: bool) -> None:
    with suppress(RequestError), staged_directory(tmp_path / "bundle", replace=replace) as folder:
        (folder / "a.txt").write_text("second")
        write(tmp_path / "bundle", "first")
    assert (tmp_path / "bundle" / "a.txt").read_text() == ("second" if replace else "first")
    assert names(tmp_path) == ["bundle"]


def test_even_between_the_check_and_the_rename_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "_check_free", lambda target, replace: None)
    write(tmp_path / "bundle", "first")
    with pytest.raises(RequestError, match="by another process"):
        write(tmp_path / "bundle", "second")
    assert (tmp_path / "bundle" / "a.txt").read_text() == "first"


def test_an_output_must_stand_apart_from_its_sources(tmp_path: Path) -> None:
    (tmp_path / "run" / "step-1").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "run")
    source = tmp_path / "run" / "step-1"
    for target in (source, tmp_path / "run", tmp_path / "link", tmp_path / "link" / "step-1", tmp_path):
        with pytest.raises(RequestError, match="would replace"):
            expect_apart(target, tmp_path / "elsewhere", source)
    expect_apart(source / "bundle", source)
    expect_apart(tmp_path / "run" / "step-10", source)


def test_links_in_a_staged_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="link or a device"), staged_directory(tmp_path / "bundle") as folder:
        (folder / "passwd").symlink_to("/etc/passwd")
    assert names(tmp_path) == []


def test_stale_staging_of_the_dead_goes_and_of_the_living_stays(tmp_path: Path) -> None:
    dead = dead_pid()
    (tmp_path / f".step-1.staging-{dead}-0123abcd").mkdir()
    (tmp_path / f".step-1.staging-{dead}-0123abcd" / "half").write_text("x")
    (tmp_path / f".note.json.staging-{dead}-0123abcd").write_text("x")
    (tmp_path / f".step-2.staging-{os.getppid()}-0123abcd").mkdir()
    (tmp_path / ".hidden").mkdir()
    found = remove_stale_staging(tmp_path)
    assert len(found) == 2
    assert names(tmp_path) == [".hidden", f".step-2.staging-{os.getppid()}-0123abcd"]


def test_stale_staging_with_our_own_pid_is_stale_unless_in_use(tmp_path: Path) -> None:
    """A restarted container often runs under the pid of the process that died."""
    (tmp_path / f".step-1.staging-{os.getpid()}-0123abcd").mkdir()
    with staged_directory(tmp_path / "bundle") as folder:
        remove_stale_staging(tmp_path)
        assert names(tmp_path) == [folder.name]
    assert names(tmp_path) == ["bundle"]


def test_a_swap_that_was_killed_half_way_is_undone(tmp_path: Path) -> None:
    write(tmp_path / "bundle", "old")
    (tmp_path / "bundle").rename(tmp_path / f".bundle.old-{dead_pid()}-0123abcd")
    remove_stale_staging(tmp_path)
    assert (tmp_path / "bundle" / "a.txt").read_text() == "old"
    write(tmp_path / "other", "left over")
    (tmp_path / "other").rename(tmp_path / f".bundle.old-{dead_pid()}-0123abcd")
    remove_stale_staging(tmp_path)
    assert names(tmp_path) == ["bundle"]
    assert (tmp_path / "bundle" / "a.txt").read_text() == "old"


def test_stale_staging_in_a_missing_folder_is_nothing(tmp_path: Path) -> None:
    assert remove_stale_staging(tmp_path / "none") == []


def test_remove_directory_never_leaves_half_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "step-1", "x")

    def dies(path: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", dies)
        with pytest.raises(StorageError, match="cannot remove"):
            remove_directory(tmp_path / "step-1")
    assert not (tmp_path / "step-1").exists()
    remove_stale_staging(tmp_path)
    assert names(tmp_path) == []


ENDLESS = """
import itertools, sys
from ppresnet.files import staged_directory
for number in itertools.count():
    with staged_directory(sys.argv[1], replace=True) as folder:
        for name in "abcdef":
            (folder / name).write_text(str(number) * 1000)
    print(number, flush=True)
"""


def test_a_kill_at_any_moment_leaves_a_whole_folder(tmp_path: Path) -> None:
    rng = random.Random(1)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    target = tmp_path / "bundle"
    for _ in range(12):
        command = [sys.executable, "-c", ENDLESS, str(target)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        verify_manifest(target)
        assert len({(target / name).read_text() for name in "abcdef"}) == 1
    remove_stale_staging(tmp_path)
    assert names(tmp_path) == ["bundle"]
