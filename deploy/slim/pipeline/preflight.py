"""What only a late step would find out, asked before the first one."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from deploy.slim.recipe import SlimRecipe
from deploy.slim.recipe_keys import SlimConfig
from ppresnet import hardware
from ppresnet.checkpoint import read, resolve
from ppresnet.errors import RequestError

if TYPE_CHECKING:
    from ppresnet.spec import ModelSpec


def expect_possible(recipe: SlimRecipe) -> None:
    """Check that this machine can do all that a recipe asks for, and that its network can be cut.

    Raises:
        RequestError: a backend lacks the precision, PaddleSlim is asked for and not installed, the family of the
            network cannot be cut, or whole blocks are to go and there is none that can.
    """
    hardware.import_paddle()
    _expect_runtimes(recipe.config)
    _expect_parts(recipe)


def _expect_runtimes(config: SlimConfig) -> None:
    from deploy.inference.runtime import Runtime, refuse

    refuse(Runtime(config.latency.backend, config.latency.precision, format="pdmodel"), "pdmodel")
    asked = "engine: paddleslim" if config.engine == "paddleslim" else "quantize" if config.quantize else ""
    if asked and importlib.util.find_spec("paddleslim") is None:
        remedy = "engine: ppresnet" if config.engine == "paddleslim" else "quantize: null"
        raise RequestError(
            f"{asked}: expected PaddleSlim to be installed, found none; pip install 'ppresnet[slim]', or set {remedy}"
        )


def _expect_parts(recipe: SlimRecipe) -> None:
    from deploy.slim.depth import expect_blocks
    from deploy.slim.families import family_of

    spec = _network(recipe)
    family_of(spec)
    if recipe.config.allocation.blocks:
        expect_blocks(spec)


def _network(recipe: SlimRecipe) -> ModelSpec:
    from ppresnet.checkpoint.state import spec_of_checkpoint
    from ppresnet.train.start import starting_point

    own = recipe.config.checkpoint
    return spec_of_checkpoint(read(resolve(own))) if own is not None else starting_point(recipe.training, None)[0]
