"""Which layers stay in float, decided by a pure search."""

import pytest

from deploy.slim.int8.floor import hold_floor
from ppresnet.errors import CheckFailedError

WORST_FIRST = tuple("abcdefgh")


def search(needed: set[str], most: int, first: tuple[str, ...] = ()) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    tried: list[tuple[str, ...]] = []

    def attempt(kept: tuple[str, ...]) -> tuple[str, ...]:
        tried.append(kept)
        return kept

    def problem(kept: tuple[str, ...]) -> str:
        return "" if needed <= set(kept) else f"lacks {sorted(needed - set(kept))}"

    _, kept = hold_floor(attempt, problem, lambda _: WORST_FIRST, most, first)
    return kept, tried


def test_nothing_is_kept_where_nothing_is_needed() -> None:
    assert search(set(), 4) == ((), [()])


def test_the_worst_are_kept_first_and_twice_as_many_each_time() -> None:
    kept, tried = search({"a", "b", "c"}, 8)
    assert kept == tuple("abcd")
    assert tried == [(), ("a",), ("a", "b"), tuple("abcd")]


def test_the_limit_itself_is_tried() -> None:
    assert search({"c"}, 3)[0] == tuple("abc")


def test_what_was_kept_before_counts_and_is_not_kept_twice() -> None:
    assert search({"a", "b", "h"}, 3, first=("h", "a")) == (("h", "a", "b"), [("h", "a"), ("h", "a", "b")])


@pytest.mark.parametrize("most", [0, 2])
def test_a_floor_that_does_not_hold_says_what_was_tried(most: int) -> None:
    with pytest.raises(
        CheckFailedError, match=rf"at most {most} layers in float(.|\n)*0 in float: lacks \['h'\]"
    ) as raised:
        search({"h"}, most)
    assert raised.value.exit_code == 3
