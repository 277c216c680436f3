"""What a network learns from another one beside its logits: the maps that the stages give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from ppresnet.errors import ConfigError


@contextmanager
def maps_of(network: nn.Layer) -> Iterator[list[Tensor]]:
    """Give a list that each stage of a network adds its output to, as long as the context is open."""
    found: list[Tensor] = []

    def note(stage: nn.Layer, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found.append(output)

    hooks = [stage.register_forward_post_hook(note) for stage in network.stages]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def map_difference(maps: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Return the mean over stages of the squared difference of maps over the mean square of the wanted, float32 [].

    Romero et al. 2014 (arXiv:1412.6550) give a student such hints at one layer, through a layer of its own, since it
    has other widths there; a network that was pruned within its branches has those of its teacher everywhere.

    Args:
        maps: of the student, one a stage, of any floating-point type.
        wanted: those of the teacher, of the same shapes, without a gradient.
    """
    # On a CPU Paddle's power takes five times as long as its square.
    apart = [
        F.mse_loss(one.astype("float32"), other.astype("float32")) / paddle.square(other.astype("float32")).mean()
        for one, other in zip(maps, wanted, strict=True)
    ]
    return paddle.stack(apart).mean()


def expect_same_maps(student: nn.Layer, teacher: nn.Layer) -> None:
    """Check that the stages of two networks give maps of the same shapes.

    Raises:
        ConfigError: they do not.
    """
    own, wanted = ([(level.channels, level.stride) for level in network.pyramid] for network in (student, teacher))
    if own != wanted:
        raise ConfigError(
            f"distill.maps: expected stages with the (channels, stride) of the teacher's, which are {wanted}, found "
            f"{own}; set it to 0, or prune within branches only (allocation.scope: internal)"
        )
