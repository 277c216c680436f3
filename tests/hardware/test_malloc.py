"""Tests of `ppresnet.hardware.malloc`."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ppresnet.hardware import malloc

PROGRAM = """
import os, resource, sys
from ppresnet.hardware.malloc import settle
print(settle({setting!r}))
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
for _ in range(50):
    bytearray(64 << 20)
print(faults() - before, os.environ.get("GLIBC_TUNABLES"), *sys.argv[1:])
"""
needs_glibc = pytest.mark.skipif(malloc.glibc_version() is None, reason="the C library is not glibc")


def run(setting: str, **environment: str) -> list[str]:
    kept = {name: value for name, value in os.environ.items() if name != malloc.TUNABLES}
    command = [sys.executable, "-c", PROGRAM.format(setting=setting), "a b", "--c"]
    return subprocess.run(
        command, env=kept | environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()


@needs_glibc
def test_tuned_process_starts_again_once_and_keeps_its_pages() -> None:
    (nothing, before), (line, after) = run("default"), run("tuned")
    assert nothing == "None"
    assert "keeps freed memory" in line
    assert int(after.split()[0]) < 0.5 * int(before.split()[0])
    assert after.split(maxsplit=1)[1] == "glibc.malloc.hugetlb=1 a b --c"


@needs_glibc
def test_other_tunables_stay() -> None:
    mine = "glibc.malloc.arena_max=2"
    assert f" {mine}:{malloc.HUGE_PAGES} a b" in run("tuned", GLIBC_TUNABLES=mine)[1]


@needs_glibc
def test_users_choice_of_pages_stays() -> None:
    assert " glibc.malloc.hugetlb=0 a b" in run("tuned", GLIBC_TUNABLES="glibc.malloc.hugetlb=0")[1]


def never(*_: Any) -> Any:
    pytest.fail("must not be called")


@pytest.mark.parametrize(
    ("version", "mallopt", "line"),
    [(None, never, "needs glibc"), ("glibc 2.30", lambda *_: 0, "glibc 2.30 refused")],
)
def test_what_cannot_be_done_is_said(
    monkeypatch: pytest.MonkeyPatch, version: str | None, mallopt: Callable[..., int], line: str
) -> None:
    monkeypatch.setattr(malloc, "glibc_version", lambda: version)
    monkeypatch.setenv(malloc.TUNABLES, malloc.HUGE_PAGES)
    assert line in (malloc.settle("tuned", never, mallopt) or "")
