"""What a test does when a tool it needs is not on the machine."""

import importlib.util
import os

import pytest


def absent(what: str) -> None:
    """Skip and say so; in CI fail, because the tool must be there."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(what)


def need_paddleslim(what: str) -> None:
    """Skip where PaddleSlim is not installed; it is not imported here, since that changes the process for all tests."""
    if importlib.util.find_spec("paddleslim") is None:
        pytest.skip(f"NOT TESTED: {what}, as paddleslim is not installed", allow_module_level=True)
