"""What every test can use: the slow sample, the hypothesis profiles and the `shared` folder."""

import os
import random
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ppresnet")
    group.addoption("--slow", action="store_true", help="run the tests marked slow too")
    group.addoption(
        "--slow-sample", type=int, default=0, metavar="N", help="run N of the slow tests, drawn by the seed"
    )
    group.addoption("--slow-seed", default="0", metavar="S", help="seed of --slow-sample, any text")


def drawn(names: list[str], count: int, seed: str) -> set[str]:
    """Return `count` of the names; which ones depends on the seed and the set of names, not on their order."""
    return set(random.Random(seed).sample(sorted(names), min(count, len(names))))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    named = any("::" in argument for argument in config.args)
    if config.getoption("slow") or named:
        return
    slow = [item.nodeid for item in items if item.get_closest_marker("slow")]
    quick = [
        item.nodeid for item in items if (mark := item.get_closest_marker("slow")) and mark.kwargs.get("drawn", True)
    ]
    kept = drawn(quick, config.getoption("slow_sample"), config.getoption("slow_seed"))
    left_out = set(slow) - kept
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
    items[:] = [item for item in items if item.nodeid not in left_out]


def pytest_report_header(config: pytest.Config) -> str:
    if config.getoption("slow"):
        return "slow tests: all"
    return f"slow tests: a sample of {config.getoption('slow_sample')}, seed {config.getoption('slow_seed')}"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real images and golden logits; a file missing in it fails the test."""
    named = os.environ.get("PPRESNET_SHARED")
    if not named:
        pytest.skip("PPRESNET_SHARED is not set: real images and golden logits are not at hand")
    folder = Path(named)
    if not folder.is_dir():
        pytest.fail(f"PPRESNET_SHARED names {folder}, which is no folder; correct it or unset it")
    return folder
