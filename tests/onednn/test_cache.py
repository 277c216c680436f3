"""Tests of the bounded cache."""

import threading
import time

import pytest

from ppresnet.onednn.cache import PrimitiveCache


def test_least_recently_used_falls_out() -> None:
    cache: PrimitiveCache[int] = PrimitiveCache(2)
    made: list[int] = []
    for key in (1, 2, 1, 3, 1, 2):
        assert cache.get(key, lambda key=key: made.append(key) or 10 * key) == 10 * key
    assert made == [1, 2, 3, 2]
    assert len(cache) == 2


def test_what_fails_is_not_kept() -> None:
    cache: PrimitiveCache[int] = PrimitiveCache(2)
    with pytest.raises(ZeroDivisionError):
        cache.get("key", lambda: 1 // 0)
    assert cache.get("key", lambda: 5) == 5


def test_threads_make_a_value_once() -> None:
    cache: PrimitiveCache[object] = PrimitiveCache(4)
    found = []

    def make() -> object:
        time.sleep(0.02)
        return object()

    threads = [threading.Thread(target=lambda: found.append(cache.get("key", make))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
