"""What only a late step would find out, asked before the first one."""

from __future__ import annotations

import importlib.util

from deploy.slim.recipe_keys import SlimConfig
from ppresnet import hardware
from ppresnet.errors import RequestError


def expect_possible(config: SlimConfig) -> None:
    """Check that this machine can do all that a recipe asks for.

    Raises:
        RequestError: a backend lacks the precision, or PaddleSlim is asked for and not installed.
    """
    hardware.import_paddle()
    from deploy.inference.runtime import Runtime, refuse

    refuse(Runtime(config.latency.backend, config.latency.precision, format="pdmodel"), "pdmodel")
    asked = "engine: paddleslim" if config.engine == "paddleslim" else "quantize" if config.quantize else ""
    if asked and importlib.util.find_spec("paddleslim") is None:
        remedy = "engine: ppresnet" if config.engine == "paddleslim" else "quantize: null"
        raise RequestError(
            f"{asked}: expected PaddleSlim to be installed, found none; pip install 'ppresnet[slim]', or set {remedy}"
        )
