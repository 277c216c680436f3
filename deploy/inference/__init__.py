"""Paddle Inference: config builder, predictor, fusion audit and timing."""

from deploy.inference.config import Runtime, build_config
from deploy.inference.predictor import Predictor
from deploy.inference.session import Session

__all__ = ["Predictor", "Runtime", "Session", "build_config"]
