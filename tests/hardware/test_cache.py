"""Measurements kept on disk: hits, misses, and files that are not ours."""

import json
from pathlib import Path

import pytest
from invented_times import CountingProber, took

from ppresnet.hardware.cache import ProbeCache, cache_path
from ppresnet.hardware.probe import PRODUCTS


def test_cache_hit_measures_nothing(tmp_path: Path) -> None:
    path, first, second = tmp_path / "deep" / "hardware.json", CountingProber(), CountingProber()
    cache = ProbeCache("cpu", first, path)
    assert cache.measurement("9", 2) == cache.measurement("9", 2) == took("9", 2)
    assert cache.save() == f"kept in {path}"
    again = ProbeCache("cpu", second, path)
    assert again.measurement("9", 2) == took("9", 2)
    assert again.save() == "known from before"
    assert (first.asked, second.asked) == ([("9", 2)], [])


def test_cache_of_another_machine_is_a_miss_and_stays(tmp_path: Path) -> None:
    path, prober = tmp_path / "hardware.json", CountingProber()
    for identity in ("cpu a", "cpu b", "cpu a"):
        cache = ProbeCache(identity, prober, path)
        cache.measurement(None, 1)
        cache.save()
    assert len(prober.asked) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"version": 99, "machines": {}}',
        b'{"version": 1, "machines": []}',
        b"[" * 100_000,
    ],
)
def test_corrupt_or_foreign_cache_is_rewritten(tmp_path: Path, content: bytes) -> None:
    path, prober = tmp_path / "hardware.json", CountingProber()
    path.write_bytes(content)
    cache = ProbeCache("cpu", prober, path)
    cache.measurement(None, 1)
    cache.save()
    assert prober.asked == [(None, 1)]
    assert ProbeCache("cpu", prober, path).measurement(None, 1) == took(None, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"seconds": []},
        {"seconds": [-1.0] * PRODUCTS},
        {"seconds": ["1"] * PRODUCTS},
        {"seconds": None},
        {"threads": "2"},
        {"mkl": 9},
        {"surplus": 1},
    ],
)
def test_implausible_entry_is_a_miss(tmp_path: Path, change: dict[str, object]) -> None:
    path, prober = tmp_path / "hardware.json", CountingProber()
    cache = ProbeCache("cpu", prober, path)
    cache.measurement(None, 1)
    cache.save()
    content = json.loads(path.read_text())
    (entries,) = content["machines"].values()
    entries[0] |= change
    path.write_text(json.dumps(content))
    ProbeCache("cpu", prober, path).measurement(None, 1)
    assert len(prober.asked) == 2


def test_busy_measurement_is_made_three_times_and_merged(tmp_path: Path) -> None:
    path, asked = tmp_path / "hardware.json", 0
    for seconds in (3.0, 1.0, 2.0, 0.5):
        prober = CountingProber(seconds=seconds, share=0.5)
        cache = ProbeCache("cpu", prober, path)
        found = cache.measurement("9", 1)
        cache.save()
        asked += len(prober.asked)
    assert (asked, found.rounds, found.seconds[0]) == (3, 3, 1.0)


def test_unwritable_cache_is_said_and_harmless(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = ProbeCache("cpu", CountingProber(), tmp_path / "file" / "hardware.json")
    assert cache.measurement("9", 1) == took("9", 1)
    assert cache.save().startswith("not kept for the next run: ")


def test_cache_path_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_path() == tmp_path / "ppresnet" / "hardware.json"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_path() == tmp_path / ".cache" / "ppresnet" / "hardware.json"
