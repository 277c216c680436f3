"""What pruning has to know of each family: its narrower spec, and its blocks that can be dropped."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.slim.families.densenet import narrow_densenet
from deploy.slim.families.gated import gated_blocks, narrow_gated
from deploy.slim.families.lcnet import narrow_lcnet
from deploy.slim.families.preact import narrow_preact, preact_blocks
from deploy.slim.families.resnet import narrow_resnet, resnet_blocks
from deploy.slim.families.stages import stage_depths, without_blocks
from deploy.slim.families.vit import narrow_vit, vit_blocks, vit_depths, without_vit_blocks
from deploy.slim.kept import Kept
from deploy.slim.names import name_left
from ppresnet.errors import RequestError
from ppresnet.spec import ModelSpec

__all__ = ["FAMILIES", "Family", "family_of", "narrowed", "without"]


def _none(spec: ModelSpec) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Family:
    """How specs of one family get smaller.

    Attributes:
        narrow: gives the spec with the widths that are kept.
        blocks: names the residual blocks whose skip is an identity, so that they can be dropped.
        without: gives the spec without the named blocks.
        depths: gives the number of blocks of each stage, by the name of the stage.
    """

    narrow: Callable[[Any, Kept], ModelSpec]
    blocks: Callable[[Any], tuple[str, ...]] = _none
    without: Callable[[Any, frozenset[str]], ModelSpec] = without_blocks
    depths: Callable[[Any], dict[str, int]] = stage_depths


FAMILIES: Mapping[str, Family] = {
    "resnet": Family(narrow_resnet, resnet_blocks),
    "preact": Family(narrow_preact, preact_blocks),
    "densenet": Family(narrow_densenet),
    "gated": Family(narrow_gated, gated_blocks),
    "lcnet": Family(narrow_lcnet),
    "vit": Family(narrow_vit, vit_blocks, without_vit_blocks, vit_depths),
}


def family_of(spec: ModelSpec) -> Family:
    """Return what pruning knows of a spec's family.

    Raises:
        RequestError: the family cannot be pruned.
    """
    if spec.family not in FAMILIES:
        raise RequestError(
            f"the family '{spec.family}' cannot be pruned; expected one of {', '.join(FAMILIES)}; "
            "deploy/slim/families says what a family must tell"
        )
    return FAMILIES[spec.family]


def narrowed(spec: ModelSpec, kept: Kept) -> ModelSpec:
    """Return the spec with the widths that are kept.

    Raises:
        RequestError: the family cannot be pruned.
    """
    narrow = family_of(spec).narrow(spec, kept)
    return narrow.model_copy(update={"norm_groups": kept.norm_groups()})


def without(spec: ModelSpec, drop: Iterable[str]) -> ModelSpec:
    """Return the spec without the named blocks; those behind one move up.

    Raises:
        RequestError: the family cannot be pruned.
    """
    dropped = frozenset(drop)
    smaller = family_of(spec).without(spec, dropped)
    left = ((name_left(name, dropped), groups) for name, groups in smaller.norm_groups)
    return smaller.model_copy(update={"norm_groups": tuple((name, groups) for name, groups in left if name)})
