"""Recipes: the schema, YAML loading with `_base_` and `-o`, and writing a resolved recipe. No Paddle in here."""

from ppresnet.config.dump import dump, to_dict
from ppresnet.config.editor import json_schema
from ppresnet.config.load import from_dict, load
from ppresnet.config.machine import AmpConfig, CheckpointConfig, HardwareConfig, LogConfig, RecomputeConfig
from ppresnet.config.optimizer import GroupRule, OptimConfig, ScheduleConfig, scaled_lr
from ppresnet.config.schema import DataConfig, ModelConfig, RunConfig
from ppresnet.config.training import (
    DistillConfig,
    EmaConfig,
    FinetuneConfig,
    GuardConfig,
    SparsityConfig,
    TrainConfig,
)

__all__ = [
    "AmpConfig",
    "CheckpointConfig",
    "DataConfig",
    "DistillConfig",
    "EmaConfig",
    "FinetuneConfig",
    "GroupRule",
    "GuardConfig",
    "HardwareConfig",
    "LogConfig",
    "ModelConfig",
    "OptimConfig",
    "RecomputeConfig",
    "RunConfig",
    "ScheduleConfig",
    "SparsityConfig",
    "TrainConfig",
    "dump",
    "from_dict",
    "json_schema",
    "load",
    "scaled_lr",
    "to_dict",
]
