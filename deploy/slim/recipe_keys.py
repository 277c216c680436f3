"""The keys of a slim recipe, their defaults and their ranges. Frozen, strict, and free of Paddle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, Strict, model_validator

from deploy.slim.command import USUAL_AGGREGATE, USUAL_ALLOCATION, USUAL_IMPORTANCE
from deploy.slim.int8.settings import Int8Settings
from deploy.slim.recipe_rules import conflicts, expect_one
from ppresnet.config import values as v
from ppresnet.config.recipe import Recipe
from ppresnet.config.rules import Conflict

Part = Annotated[float, Field(gt=0, lt=1)]


class TargetConfig(v.Section):
    """What the network may cost, as a share of what it costs; exactly one of them."""

    macs: Part | None = None
    """Of the multiply-accumulate operations."""
    params: Part | None = None
    """Of the parameters."""
    latency: Part | None = None
    """Of the measured time; see the section `latency`."""

    _one = model_validator(mode="after")(expect_one)

    @property
    def chosen(self) -> tuple[str, float]:
        """The kind of cost, and the share."""
        return next((kind, share) for kind, share in self if share is not None)


class ImportanceConfig(v.Section):
    """How a channel is scored."""

    score: Literal["path", "l1", "l2", "fpgm", "bn_scale", "taylor", "obs", "random"] = USUAL_IMPORTANCE
    """Of each tensor that has the channel; path: what gives it times what takes it, which says best what is left after
    fine-tuning; obs: what no fit of the weights that take it makes up for, which says best what is left before."""
    aggregate: Literal["flow", "mean", "max", "first"] = USUAL_AGGREGATE
    """Over the tensors of a group."""
    images: v.Count = 512
    """taylor, obs and allocation.blocks: training images that these are measured on."""


class AllocationConfig(v.Section):
    """How groups of channels share the loss."""

    name: Literal["density", "uniform", "global", "sensitivity"] = USUAL_ALLOCATION
    """The more of each the more operations its parameters take, the same share of each, the lowest scores of all, or
    what costs the same as measured."""
    scope: Literal["all", "trunk", "internal"] = "all"
    """Which groups lose channels: those that additions couple, those within branches, or all."""
    trunk_share: v.Share = 1.0
    """density, uniform: what trunk groups lose, relative to others."""
    minimum: v.Count = 1
    """Channels that every group keeps."""
    protect: Annotated[tuple[v.Text, ...], Strict(False)] = ()
    """Groups that stay whole; `*` is a wildcard."""
    blocks: bool = False
    """Drop whole residual blocks instead of channels, those first without which the loss rises the least."""


class SensitivityConfig(v.Section):
    """The measurement of what each group costs."""

    images: v.Count = 1024
    """Training images that it is measured on."""
    shares: Annotated[tuple[Part, ...], Strict(False)] = (0.125, 0.25, 0.5, 0.75)
    """Shares of a group that are masked."""


class LatencyConfig(v.Section):
    """How time is measured, for a target and for the report."""

    backend: Literal["native", "onednn", "openvino"] = "onednn"
    """Of Paddle Inference."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of its kernels."""
    threads: v.Threads = "auto"
    """Of its kernels."""
    batch: v.Count = 1
    """Images of a pass."""
    rounds: v.Count = 30
    """Timed rounds, in which both networks take turns."""


class SlimConfig(Recipe):
    """A whole slim recipe; `output` defaults to `runs/` and the name."""

    name: v.RunName = "slim"
    """The name of the run: letters, digits, `_`, `-` and `.`."""
    seed: Annotated[v.CountOrZero, Field(lt=2**32)] = 1
    """Everything random follows from it, trainings included."""
    output: v.Text = "runs/slim"
    """Folder that is written; `runs/` and the name unless given."""
    base: v.Text
    """The recipe of the network, relative to this file."""
    checkpoint: v.Text | None = None
    """The network to make smaller; null trains the base recipe first."""
    target: TargetConfig
    importance: ImportanceConfig = ImportanceConfig()
    allocation: AllocationConfig = AllocationConfig()
    engine: Literal["ppresnet", "paddleslim"] = "ppresnet"
    """Who chooses the channels."""
    round_to: Literal[1, 2, 4, 8, 16, 32] = 1
    """Kept channels are a multiple of this."""
    steps: v.Count = 1
    """Times that the network is cut and fine-tuned on the way to the target, at most."""
    reconstruct: v.CountOrZero = 256
    """Training images that the weights are fitted on after a cut, so that layers give what they gave; 0: no fitting."""
    recalibrate: v.CountOrZero = 2048
    """Training images that BatchNorm's statistics are measured on after a cut; 0 leaves them."""
    sensitivity: SensitivityConfig = SensitivityConfig()
    latency: LatencyConfig = LatencyConfig()
    finetune: dict[str, Any] = Field(default_factory=dict)
    """Overrides of the base recipe for the training after a cut; its teacher is the whole network."""
    quantize: Int8Settings | None = None
    """How the result becomes int8; null leaves it in float."""
    max_drop: v.NotNegative | None = None
    """Points of top-1 that may be lost; more ends with exit code 3. null accepts any loss."""

    def _conflicts(self) -> Iterator[Conflict]:
        return conflicts(self)
