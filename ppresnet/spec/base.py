"""What the specs of every family share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Activation = Literal["relu", "leaky_relu", "silu", "gelu", "hard_swish"]
Norm = Literal["batch", "sync_batch", "group", "layer"]
Width = Annotated[int, Field(ge=1)]


class Frozen(BaseModel):
    """Plain data: immutable, and without any field that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelSpec(Frozen):
    """What every architecture shares; a family adds its own fields."""

    name: str
    family: str
    num_classes: int = Field(ge=1)
    in_channels: int = Field(default=3, ge=1)
    act: Activation = "relu"
    norm: Norm = "batch"
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    drop_path: float = Field(default=0.0, ge=0.0, lt=1.0)
    zero_init_gamma: bool = False
    input_size: int = Field(default=224, ge=1)
    norm_groups: tuple[tuple[str, int], ...] = ()
    """GroupNorms that pruning left with another number of groups than their width gives, each with its number."""
