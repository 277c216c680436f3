"""Paddle Inference: config builder, predictor, fusion audit and timing.

Names are imported when they are first used, so that `ppresnet.hardware` can prepare the process before Paddle comes.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploy.inference.config import build_config
    from deploy.inference.predictor import Predictor
    from deploy.inference.runtime import Runtime
    from deploy.inference.session import Session

__all__ = ["Predictor", "Runtime", "Session", "build_config"]

_HOMES = {"Predictor": "predictor", "Runtime": "runtime", "Session": "session", "build_config": "config"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"deploy.inference has no {name}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
