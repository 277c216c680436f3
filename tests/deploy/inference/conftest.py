"""A bundle that every test here reads and none changes."""

from pathlib import Path

import bundles
import pytest
from paddle import nn


@pytest.fixture(scope="session")
def net() -> nn.Layer:
    """Identity and projection skips, relu."""
    return bundles.small_net()


@pytest.fixture(scope="session")
def bundle(net: nn.Layer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of `net`, in every format this Paddle writes."""
    return bundles.make_bundle(net, tmp_path_factory.mktemp("bundle"))
