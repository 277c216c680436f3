"""The network that most tests here export."""

import pytest
from paddle import nn
from tiny_network import tiny_spec

from ppresnet.models import build


@pytest.fixture(scope="module")
def model() -> nn.Layer:
    """A tiny network with random weights, in evaluation mode."""
    model = build(tiny_spec())
    model.eval()
    return model
