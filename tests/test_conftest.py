"""The slow sample and the `shared` folder, tried in a small test suite of their own."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SUITE = """
import pytest

def test_quick():
    pass

@pytest.mark.slow
@pytest.mark.parametrize("n", range(20))
def test_slow(n):
    pass
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text(encoding="utf-8"))
    pytester.makeini("[pytest]\nmarkers = slow: slow\n")
    pytester.makepyfile(SUITE)
    return pytester


def ran(suite: pytest.Pytester, *arguments: str) -> set[str]:
    result = suite.runpytest_inprocess("-v", "-p", "no:cacheprovider", *arguments)
    assert result.ret == 0
    return {line.split("::")[1].split(" ")[0] for line in result.outlines if " PASSED " in line}


def test_slow_tests_are_left_out(suite: pytest.Pytester) -> None:
    assert ran(suite) == {"test_quick"}


def test_slow_runs_all(suite: pytest.Pytester) -> None:
    assert len(ran(suite, "--slow")) == 21


def test_a_slow_test_that_is_named_runs(suite: pytest.Pytester) -> None:
    (file,) = suite.path.glob("test_*.py")
    assert ran(suite, f"{file.name}::test_slow[3]") == {"test_slow[3]"}


def test_the_seed_draws_the_sample(suite: pytest.Pytester) -> None:
    first = ran(suite, "--slow-sample", "3", "--slow-seed", "a")
    assert "test_quick" in first
    assert len(first) == 4
    assert ran(suite, "--slow-sample", "3", "--slow-seed", "a") == first
    others = [ran(suite, "--slow-sample", "3", "--slow-seed", seed) for seed in "bcd"]
    assert any(other != first for other in others)


@pytest.mark.parametrize(
    ("set_to", "outcome"),
    [(None, {"skipped": 1}), ("absent", {"errors": 1}), ("", {"skipped": 1}), (".", {"passed": 1})],
)
def test_shared(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, set_to: str | None, outcome: dict[str, int]
) -> None:
    monkeypatch.delenv("PPRESNET_SHARED", raising=False)
    if set_to is not None:
        monkeypatch.setenv("PPRESNET_SHARED", set_to)
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile("def test_wants(shared):\n    assert shared.is_dir()")
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(**outcome)
