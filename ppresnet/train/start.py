"""Where training starts: the network, its weights and everything that a step needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import paddle
from paddle import nn

from ppresnet.checkpoint import Checkpoint, resolve
from ppresnet.checkpoint.state import final_weights, model_of, restore_weights, spec_of_checkpoint, weights_of
from ppresnet.config import RunConfig
from ppresnet.errors import CheckpointError, ConfigError
from ppresnet.layers import ZeroPadSkip
from ppresnet.models import build
from ppresnet.models.frozen import freeze, freeze_norms
from ppresnet.spec import ModelSpec, spec_of
from ppresnet.train import amp
from ppresnet.train.activations import measure_activations, segments_for
from ppresnet.train.ema import Ema
from ppresnet.train.guards import Guard
from ppresnet.train.micro import Memory
from ppresnet.train.optim import build_optimizer, restore_optimizer
from ppresnet.train.ranks import ALONE, Ranks
from ppresnet.train.recompute import recompute_blocks
from ppresnet.train.schedule import scaling_line
from ppresnet.train.seeds import seed_paddle
from ppresnet.train.sharing import shared_checkpoint
from ppresnet.train.sparsity import sparsity_of
from ppresnet.train.step import Step
from ppresnet.train.teaching import expect_same_maps


def starting_point(
    config: RunConfig, restored: Checkpoint | None, ranks: Ranks = ALONE
) -> tuple[ModelSpec, Checkpoint | None]:
    """Return the architecture to train, and the checkpoint whose weights it starts from, if any.

    Raises:
        ConfigError: the checkpoint of `init_from` is for other classes or channels.
        CheckpointError: that checkpoint is missing or damaged.
    """
    if restored is not None:
        return spec_of_checkpoint(restored), restored
    if config.init_from is None:
        return spec_of(**config.model.model_dump(), input_size=config.data.input_size), None
    initial = _from(config.init_from, ranks)
    spec, wanted = spec_of_checkpoint(initial), config.model
    if config.finetune.new_head:
        spec = spec.model_copy(update={"num_classes": wanted.num_classes})
    if (spec.num_classes, spec.in_channels) != (wanted.num_classes, wanted.in_channels):
        raise ConfigError(
            f"init_from: the checkpoint has {spec.num_classes} classes and {spec.in_channels} input channels; "
            f"the recipe wants {wanted.num_classes} and {wanted.in_channels}; "
            "for other classes set finetune.new_head to true"
        )
    return spec, initial


def decided_line(config: RunConfig, spec: ModelSpec) -> str | None:
    """Return which keys of `model` the network of a checkpoint overrules, None for none of them."""
    pairs = {
        key: (getattr(config.model, key), getattr(spec, key)) for key in ("name", "act", "norm", "dropout", "drop_path")
    }
    other = [f"model.{key} {found} instead of {wanted}" for key, (wanted, found) in pairs.items() if wanted != found]
    return f"the checkpoint decides the network: {', '.join(other)}" if other else None


def assemble_step(
    config: RunConfig,
    spec: ModelSpec,
    initial: Checkpoint | None,
    restored: Checkpoint | None,
    report: Callable[[str], None],
    teacher: nn.Layer | None = None,
    ranks: Ranks = ALONE,
) -> Step:
    """Return a step on a network of this spec, with its optimiser, average, teacher and precision.

    Args:
        config: the recipe.
        spec: of the network.
        initial: whose weights to start from; None draws them from the seed.
        restored: the checkpoint of the run that is resumed; `initial` too.
        report: is given lines for the user.
        teacher: from `teacher_of`.
        ranks: the processes that train together.

    Raises:
        ConfigError: stages or budget do not fit the network.
    """
    device = paddle.get_device().split(":")[0]
    model = _network(config, spec, initial, restored)
    if teacher is not None and config.distill.maps:
        expect_same_maps(model, teacher)
    _save_memory(model, config, report, -(-config.train.batch_size // ranks.size))
    optimizer = build_optimizer(config.optim, model)
    if restored is not None:
        restore_optimizer(optimizer, model, restored.optimizer)
    model, optimizer = amp.decorated(config.amp, device, model, optimizer)
    decided = decided_line(config, spec) if initial is not None else None
    for line in (decided, scaling_line(config), amp.without_effect(config.amp, device)):
        if line:
            report(line)
    decay = config.ema.decay
    return Step(
        config=config,
        model=model,
        optimizer=optimizer,
        ranks=ranks,
        guard=Guard(),
        memory=Memory(report=report),
        ema=Ema(model, decay, restored.ema if restored is not None else None) if decay else None,
        teacher=teacher,
        sparsity=sparsity_of(config.sparsity, model),
        scale=amp.loss_scale(config.amp, device),
        cast=amp.casting(config.amp, device),
    )


def teacher_of(config: RunConfig, spec: ModelSpec, ranks: Ranks = ALONE) -> nn.Layer | None:
    """Return the network to learn from, None where the recipe names none.

    Raises:
        ConfigError: it has other classes or channels.
        CheckpointError: its checkpoint is missing or damaged.
    """
    if config.distill.checkpoint is None:
        return None
    teacher = model_of(_from(config.distill.checkpoint, ranks))
    if teacher.spec.num_classes != spec.num_classes or teacher.spec.in_channels != spec.in_channels:
        raise ConfigError(
            f"distill.checkpoint: expected a teacher of {spec.num_classes} classes and {spec.in_channels} input "
            f"channels, found {teacher.spec.num_classes} and {teacher.spec.in_channels}"
        )
    _let_training_kernels_run(teacher)
    return teacher


def _let_training_kernels_run(teacher: nn.Layer) -> None:
    """Put what computes the same in training into training mode, where the kernels replace Paddle's own."""
    for layer in teacher.sublayers():
        if isinstance(layer, nn.BatchNorm2D):
            layer._use_global_stats = True
        if isinstance(layer, nn.BatchNorm2D | nn.Conv2D | nn.ReLU | ZeroPadSkip):
            layer.train()


def _from(path: str, ranks: Ranks) -> Checkpoint:
    with ranks.together():
        folder = resolve(Path(path)) if ranks.first else None
    checkpoint = shared_checkpoint(folder, ranks)
    if checkpoint is None:
        raise CheckpointError(f"the first process found no checkpoint at {path}")
    return checkpoint


def _network(config: RunConfig, spec: ModelSpec, initial: Checkpoint | None, restored: Checkpoint | None) -> nn.Layer:
    seed_paddle(config.seed, "init")
    model = build(spec)
    if initial is not None:
        weights = initial.weights if initial is restored else final_weights(initial)
        restore_weights(model, _with_new_head(model, weights) if config.finetune.new_head else weights)
    _freeze(model, config)
    return model


def _with_new_head(model: nn.Layer, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    own = weights_of(model)
    return {name: own[name] if name.startswith("head.") else array for name, array in weights.items()}


def _freeze(model: nn.Layer, config: RunConfig) -> None:
    tuned = config.finetune
    if tuned.frozen_stages:
        freeze(model, tuned.frozen_stages)
    if tuned.frozen_statistics or tuned.frozen_affine:
        freeze_norms(model, statistics=tuned.frozen_statistics, affine=tuned.frozen_affine)


def _save_memory(model: nn.Layer, config: RunConfig, report: Callable[[str], None], images: int) -> None:
    every, budget = config.recompute.every, config.recompute.budget_mb
    if not every and budget is None:
        return
    size = config.data.input_size
    activations = measure_activations(model, paddle.zeros([1, config.model.in_channels, size, size]))
    if budget is not None:
        every = segments_for(activations, images, budget)
        again = f"segments of {every} blocks" if every else "nothing"
        report(f"recompute: {again}, so that a step takes at most {budget} MB")
    if every:
        recompute_blocks(model, every, activations.spared(every))
