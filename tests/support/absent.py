"""What a test does when a tool it needs is not on the machine."""

import os

import pytest


def absent(what: str) -> None:
    """Skip and say so; in CI fail, because the tool must be there."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(what)
