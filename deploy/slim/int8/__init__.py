"""int8 of a trained network: post-training or with a training that rounds, held to an accuracy floor.

Names are imported when they are first used, so that `ppresnet.hardware` can prepare the process before Paddle comes.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploy.slim.int8.quantizing import QuantizeResult, quantize
    from deploy.slim.int8.settings import Int8Settings

__all__ = ["Int8Settings", "QuantizeResult", "quantize"]

_HOMES = {"Int8Settings": "settings", "QuantizeResult": "quantizing", "quantize": "quantizing"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"deploy.slim.int8 has no {name}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
