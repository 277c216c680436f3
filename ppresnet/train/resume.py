"""Whether a stored run is the one that the recipe describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ppresnet.config import RunConfig, from_dict, to_dict
from ppresnet.errors import ConfigError, DataError

if TYPE_CHECKING:
    from ppresnet.train.progress import Progress

# What may change between the parts of one run without changing its result.
_FREE = ("name", "output", "hardware", "checkpoint", "data.root", "data.workers", "data.cache_mb", "init_from", "log")


def expect_same_run(config: RunConfig, stored: Mapping[str, Any]) -> None:
    """Check that a checkpoint belongs to this recipe.

    Raises:
        ConfigError: a key that decides the result differs; each is named with both values.
    """
    differences = [
        f"--resume: '{key}' is {wanted!r} in the recipe and {found!r} in the checkpoint"
        for key, wanted, found in _differences(to_dict(config), _completed(stored), "")
        if not _is_free(key)
    ]
    if differences:
        raise ConfigError(
            *differences, "put the stored value back, or start a new run with init_from and another output"
        )


def expect_same_images(stored: Progress, now: Progress) -> None:
    """Check that the images are those that the run was trained on so far, wherever they are now.

    Raises:
        DataError: there are other classes, or another number of images.
    """
    if stored.classes and stored.classes != now.classes:
        raise DataError(f"--resume: expected images of the classes {_some(stored.classes)}, found {_some(now.classes)}")
    if stored.images and stored.images != now.images:
        raise DataError(f"--resume: expected {stored.images} images to train on, found {now.images}")


def expect_same_teacher(stored: Progress, now: Progress) -> None:
    """Check that the network to learn from is still the one that the run learned from so far.

    Raises:
        DataError: it is another.
    """
    if stored.teacher and now.teacher and stored.teacher != now.teacher:
        raise DataError(
            f"--resume: expected a teacher of the weights {stored.teacher[:12]}, found {now.teacher[:12]}; put that "
            "checkpoint back where distill.checkpoint says, or start a new run with init_from and another output"
        )


def _completed(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a stored recipe with the usual values of keys that came after it."""
    try:
        return to_dict(from_dict(stored))
    except ConfigError:
        return stored


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def deciding(config: RunConfig) -> dict[str, Any]:
    """Return what decides the result of a whole run, by dotted key: all but what may change between its parts.

    Where the weights are from that it starts with is among them, since that may not change before the start.
    """
    return dict(_deciding(to_dict(config), ""))


def _deciding(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _deciding(value, f"{prefix}{key}.")
        elif prefix + key == "init_from" or not _is_free(prefix + key):
            yield prefix + key, value


def _is_free(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in _FREE)


def _differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any, Any]]:
    for key in sorted(ours.keys() | theirs.keys()):
        left, right = ours.get(key), theirs.get(key)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            yield from _differences(left, right, f"{prefix}{key}.")
        elif left != right:
            yield f"{prefix}{key}", left, right
