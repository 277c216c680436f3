"""Weights of other libraries as numpy arrays, from safetensors, torch and Paddle files, without running anything.

Pickles are followed by a machine of our own (`machine`) that knows only plain data, numpy arrays and torch tensors;
there is no callable in it that a file could reach.
"""

from ppresnet.weights.limits import Limits
from ppresnet.weights.reading import Weights, read_weights
from ppresnet.weights.sources import SOURCES

__all__ = ["SOURCES", "Limits", "Weights", "read_weights"]
