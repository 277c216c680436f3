"""What `tools/doctor.py` finds about a recipe: its images, the folder of its run, and how long it will take."""

import shutil
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from checkup import Check, failure
from parallel_choice import pace

from ppresnet.config import RunConfig, load
from ppresnet.errors import PpresnetError

if TYPE_CHECKING:
    from ppresnet.data import Source
    from ppresnet.models import Cost

SAMPLE = 64  # images of a split that are decoded
SHOWN = 5  # names in a sentence
TENSORS = {"sgd": 2, "lars": 2, "adamw": 3, "lamb": 3, "rmsprop": 4}  # numbers kept for each parameter


def recipe_checks(path: Path, overrides: Sequence[str], output: Path | None) -> Iterator[Check]:
    """Yield one finding after the other; what needs a thing that failed is left out.

    Args:
        path: of the recipe.
        overrides: `a.b=value` each.
        output: folder of the run; None takes the recipe's.
    """
    try:
        config = load(path, overrides)
        yield network(config)
    except PpresnetError as error:
        yield failure("recipe", error)
        return
    images = yield from _split(config, "train")
    evaluated = yield from _split(config, "val")
    yield room(output or Path(config.output), _checkpoint_bytes(config) * (config.checkpoint.keep + 1))
    if images and evaluated:
        try:
            yield duration(config, pace(config, 1), images)
        except PpresnetError as error:
            yield failure("pace", error)


def network(config: RunConfig) -> Check:
    """Tell what a recipe trains."""
    price = _cost(config)
    found = f"{config.name}: {config.model.name}, {price.params:,} parameters, {price.macs:,} MACs an image"
    return Check("recipe", "ok", found)


def classes(split: str, source: "Source") -> Check:
    """Judge how the images of a split are spread over the classes."""
    labels = source.labels
    count = labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels, minlength=len(source.classes))
    empty = [name for name, images in zip(source.classes, count, strict=True) if not images]
    found = f"{source.describe()}; {count.min():,} to {count.max():,} images a class"
    if not empty:
        return Check(f"{split} images", "ok", found)
    names = ", ".join(empty[:SHOWN]) + (", ..." if len(empty) > SHOWN else "")
    return Check(f"{split} images", "warning", found, f"no image of {names}; the network cannot learn or show them")


def room(output: Path, needed: int) -> Check:
    """Judge the folder of a run.

    Args:
        output: the folder; it need not be there.
        needed: bytes of the checkpoints that are kept, and of the one that is being written.
    """
    if (output / "config.yaml").exists():
        return Check("output", "warning", f"{output} holds a run", "add --resume to go on with it, or choose another")
    there = next(folder for folder in (output.absolute(), *output.absolute().parents) if folder.exists())
    if not there.is_dir():
        return Check("output", "failed", f"{there} is a file", "choose another --output")
    free = shutil.disk_usage(there).free
    found = f"{output}: {free / 2**20:,.0f} MiB free, checkpoints take {needed / 2**20:,.0f}"
    if free > needed:
        return Check("output", "ok", found)
    return Check("output", "failed", found, "make room, or set checkpoint.keep lower")


def duration(config: RunConfig, rate: float, images: int) -> Check:
    """Tell how long the training steps of a run take, from images per second and the images of an epoch."""
    train = config.train
    minutes = train.epochs * images / rate / 60
    limit = "at most " if train.start_size is not None else ""
    found = f"{rate:,.0f} images/s in one process: {limit}{minutes:,.1f} minutes for {train.epochs} epochs"
    return Check("pace", "ok", f"{found}, reading and evaluation not counted")


def _split(config: RunConfig, split: Literal["train", "val"]) -> Generator[Check, None, int]:
    """Yield what is found of the images of a split, and return how many there are."""
    from ppresnet.data import open_split

    try:
        channels, wanted = config.model.in_channels, config.model.num_classes
        source = open_split(config.data, split, in_channels=channels, num_classes=wanted)
        yield classes(split, source)
        yield _sample(config, split, source)
    except PpresnetError as error:
        yield failure(f"{split} images", error)
        return 0
    return len(source)


def _sample(config: RunConfig, split: str, source: "Source") -> Check:
    """Take some images through the whole way to a batch."""
    from ppresnet.data import Samples, preprocess_of

    augment = config.data.augment if split == "train" else ()
    samples = Samples(source, preprocess_of(config.data, config.model.in_channels), augment, seed=config.seed)
    chosen = np.random.default_rng(config.seed).permutation(len(source))[:SAMPLE]
    broken = samples.load(0, np.sort(chosen)).broken
    found = f"{len(broken)} of {len(chosen)} images are broken"
    if not broken:
        return Check(f"{split} sample", "ok", f"{len(chosen)} images decoded")
    named = "; ".join(f"{item.name}: {item.reason}" for item in broken[:SHOWN])
    few = len(broken) <= config.data.max_broken * len(chosen)
    return Check(f"{split} sample", "warning" if few else "failed", found, f"mend or remove them ({named})")


def _checkpoint_bytes(config: RunConfig) -> int:
    return 4 * _cost(config).params * (TENSORS[config.optim.name] + (config.ema.decay > 0))


def _cost(config: RunConfig) -> "Cost":
    from ppresnet.models import cost
    from ppresnet.spec import spec_of

    return cost(spec_of(**config.model.model_dump(), input_size=config.data.input_size))
