"""The second interpreter, which Paddle Lite needs."""

from pathlib import Path

import pytest
from absent import absent

from deploy.lite.interpreter import prepare
from ppresnet.errors import PpresnetError


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter that has Paddle Lite; it is set up when it is missing."""
    try:
        return prepare(print)
    except PpresnetError as error:
        absent(f"NOT TESTED, as Paddle Lite is missing: {error}")
        raise
