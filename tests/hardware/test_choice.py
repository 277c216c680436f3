"""Choose by the arithmetic alone, on invented measurements."""

import pytest
from invented_times import TABLE, broken, took

from ppresnet.hardware.choice import MKL_TYPES, Choice, choose, decide, gain_over, thread_counts
from ppresnet.hardware.measurement import Measurement


def test_fastest_wins_and_gain_is_the_ratio() -> None:
    choice = choose(took(None, 1), [took(*key) for key in TABLE])
    assert (choice.mkl, choice.threads, choice.gain) == ("9", 2, pytest.approx(8.0))


def test_gain_is_a_geometric_mean_over_the_products() -> None:
    stock, other = Measurement(None, 1, (1.0, 1.0)), Measurement("9", 1, (0.125, 0.5))
    assert gain_over(stock, other) == pytest.approx(4.0)


@pytest.mark.parametrize(("seconds", "expected"), [(7.7, None), (7.5, "9")])
def test_unset_wins_unless_another_is_clearly_faster(seconds: float, expected: str | None) -> None:
    assert choose(took(None, 1), [took(None, 1), took("9", 1, seconds)]).mkl == expected


@pytest.mark.parametrize(("seconds", "expected"), [(2.05, "9"), (2.2, "5")])
def test_newest_kernels_win_among_equals(seconds: float, expected: str) -> None:
    candidates = [took(None, 1), took("5", 1, 2.0), took("9", 1, seconds)]
    assert choose(took(None, 1), candidates).mkl == expected


@pytest.mark.parametrize(("seconds", "expected"), [(2.1, 1), (1.9, 2)])
def test_more_threads_only_when_faster(seconds: float, expected: int) -> None:
    candidates = [took(None, 1), took("9", 1), took(None, 2), took("9", 2, seconds)]
    assert choose(took(None, 1), candidates).threads == expected


def test_killed_candidate_is_ignored() -> None:
    choice = choose(took(None, 1), [took(None, 1), broken("9", 1), took("7", 1), broken("9", 2)])
    assert (choice.mkl, choice.threads) == ("7", 1)


def test_nothing_measurable_changes_nothing() -> None:
    candidates = [broken(None, 1), broken("9", 1), broken("9", 2)]
    assert choose(candidates[0], candidates) == Choice(None, 1, None)


def test_broken_stock_changes_nothing() -> None:
    assert choose(broken(None, 1), [took(None, 1), took("9", 2)]) == Choice(None, 1, None)


def test_decide_names_the_broken_candidates() -> None:
    def prober(mkl: str | None, threads: int) -> Measurement:
        return broken(mkl, threads) if mkl == "9" else took(mkl, threads)

    choice, why = decide(MKL_TYPES, (1,), prober)
    assert choice.mkl == "7"
    assert "type 9 killed by SIGILL" in why


@pytest.mark.parametrize(
    ("cores", "expected"), [(1, (1,)), (2, (1, 2)), (4, (1, 4)), (6, (1, 4, 6)), (64, (1, 4, 16, 64))]
)
def test_thread_counts(cores: int, expected: tuple[int, ...]) -> None:
    assert thread_counts(cores) == expected
