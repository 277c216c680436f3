"""The keys of a recipe, their defaults and their ranges. Frozen, strict, and free of Paddle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Strict, model_validator

from ppresnet.config import values as v
from ppresnet.config.augmentation import Augmentation
from ppresnet.config.machine import AmpConfig, CheckpointConfig, HardwareConfig, LogConfig, RecomputeConfig
from ppresnet.config.optimizer import OptimConfig, ScheduleConfig
from ppresnet.config.recipe import Recipe
from ppresnet.config.rules import Conflict, conflicts
from ppresnet.config.training import (
    DistillConfig,
    EmaConfig,
    FinetuneConfig,
    GuardConfig,
    SparsityConfig,
    TrainConfig,
)


class ModelConfig(v.Section):
    """The network; the same fields override a `ModelSpec`."""

    name: v.ModelName = "cifar_resnet20"
    """A name of the zoo; `python tools/zoo.py` lists them."""
    num_classes: v.Count = 10
    """Width of the head."""
    in_channels: v.Channels = 1
    """1 for grey images, 3 for colour."""
    act: v.ActivationName = "relu"
    """The activation of every block."""
    norm: v.NormName = "batch"
    """The normalisation of every block."""
    dropout: v.ShareBelowOne = 0.0
    """Share of features dropped before the head."""
    drop_path: v.ShareBelowOne = 0.0
    """Largest share of branches dropped (stochastic depth)."""
    zero_init_gamma: bool = False
    """Start the last normalisation of each branch at zero, so that a block starts as its skip."""

    @model_validator(mode="before")
    @classmethod
    def _as_the_family_has_it(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        return v.usual_of(given.get("name")) | given


class DataConfig(v.Section):
    """Where the images are and how they become network inputs."""

    format: Literal["digits", "folder", "list", "cifar10", "cifar100", "sequence"] = "digits"
    """How the data set is laid out."""
    multi_label: bool = False
    """list: an image has any number of labels, `path 0,3,7` or `path -`; evaluated by mAP."""
    root: v.Text | None = None
    """Folder or zip; for `list` the folder that its paths are relative to."""
    train: v.Text = "train"
    """Sub-folder, list file or split name to train on."""
    val: v.Text = "test"
    """Sub-folder, list file or split name to evaluate on."""
    input_size: v.Count = 8
    """Height and width of the network input, pixels."""
    mean: v.Means = (0.305,)
    """Mean of each channel, as a share of full scale."""
    std: v.Deviations = (0.376,)
    """Standard deviation of each channel, as a share of full scale."""
    resize: v.Count | None = None
    """Evaluation: the shorter side after resizing, pixels; the centre crop follows."""
    augment: Annotated[tuple[Augmentation, ...], Strict(False)] = ()
    """Training augmentations in order, such as `[{name: random_crop, padding: 4}]`."""
    workers: v.CountOrZero = 0
    """Loader processes; 0 loads in the training process."""
    cache_mb: v.CountOrZero = 0
    """MiB of decoded images that each process keeps in memory; worth it for small images."""
    max_broken: v.Share = 0.01
    """Share of unreadable images that is tolerated."""


class RunConfig(Recipe):
    """A whole recipe, resolved; `output` defaults to `runs/` and the name."""

    name: v.RunName = "digits_resnet20"
    """The name of the run: letters, digits, `_`, `-` and `.`."""
    seed: Annotated[v.CountOrZero, v.Field(lt=2**32)] = 1
    """Everything random follows from it."""
    output: v.Text = "runs/digits_resnet20"
    """Folder that the run writes; `runs/` and the name unless given."""
    model: ModelConfig = ModelConfig()
    init_from: v.Text | None = None
    """A checkpoint whose weights training starts from."""
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    optim: OptimConfig = OptimConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    amp: AmpConfig = AmpConfig()
    recompute: RecomputeConfig = RecomputeConfig()
    ema: EmaConfig = EmaConfig()
    distill: DistillConfig = DistillConfig()
    sparsity: SparsityConfig = SparsityConfig()
    finetune: FinetuneConfig = FinetuneConfig()
    guard: GuardConfig = GuardConfig()
    hardware: HardwareConfig = HardwareConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    log: LogConfig = LogConfig()

    def _conflicts(self) -> Iterator[Conflict]:
        return conflicts(self)
