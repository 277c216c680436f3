"""Residual networks for PaddlePaddle, from a YAML recipe to a proved deployment bundle."""

__version__ = "0.1.0"
