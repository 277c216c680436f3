"""The audit of a converted network: Lite's own operator list, held against what the blocks promised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from deploy.lite.options import WEIGHT_TYPES, Options
from deploy.lite.program import Program
from deploy.lite.sites import judge_site
from ppresnet.bundle import Site, UnfusedSite

_BITS = {"int8-weights": 8, "int16-weights": 16}


class Fusion(BaseModel):
    """What became of the promised sites.

    Attributes:
        sites: how many were promised.
        fused: how many became one operator.
        convs: convolutions.
        with_act: convolutions that apply an activation and add no residual.
        with_residual: convolutions that add a residual.
        added: operators that add and activate.
        batch_norms: BatchNorms left over.
        lone_adds: additions of two branches left over.
        lone_acts: activations left over, by name.
        int8_convs: convolutions with int8 kernels.
        kernels: how many operators run on each device in each precision.
        unfused: sites that are not one operator, with the reason.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sites: int
    fused: int
    convs: int
    with_act: int
    with_residual: int
    added: int
    batch_norms: int
    lone_adds: int
    lone_acts: Mapping[str, int]
    int8_convs: int
    kernels: Mapping[str, int]
    unfused: tuple[UnfusedSite, ...]


class LiteAudit(Fusion):
    """What became of the promised sites, and what is wrong with the network.

    Attributes:
        ops: how many operators of each type there are.
        problems: what makes the network unfit; empty when it is sound.
    """

    ops: Mapping[str, int]
    problems: tuple[str, ...]


def audit(program: Program, sites: Sequence[Site], options: Options, nb: Counter[tuple[str, str, str]]) -> LiteAudit:
    """Return what Lite made of the promised sites.

    Args:
        program: the protobuf form of the converted network.
        sites: what the bundle promises.
        options: what was asked of Lite.
        nb: the kernels that stand in the `.nb`, from `kernels_in`.
    """
    graph = program.graph
    unfused = tuple(found for site in sites if (found := judge_site(program, site, options)) is not None)
    convs = [op for op in graph.live if op.filter is not None]
    lone = Counter(op.type for op in graph.live if op.type in ("relu", "relu6", "hard_swish", "swish", "silu", "gelu"))
    return LiteAudit(
        sites=len(sites),
        fused=len(sites) - len(unfused),
        convs=len(convs),
        with_act=sum(op.act is not None and op.residual is None for op in convs),
        with_residual=sum(op.residual is not None for op in convs),
        added=program.counts["fusion_elementwise_add_activation"],
        batch_norms=program.counts["batch_norm"] + program.counts["sync_batch_norm"],
        lone_adds=sum(op.type == "add" and op.act is None and _is_sum(program, op.inputs) for op in graph.live),
        lone_acts=dict(lone),
        int8_convs=sum(op.kernel[1] == "int8" for op in program.convolutions),
        ops=dict(sorted(program.counts.items())),
        kernels=dict(sorted(Counter(" ".join(op.kernel) for op in program.ops).items())),
        unfused=unfused,
        problems=(*_unexplained(unfused), *_unsound(program, options), *_differences(program, nb)),
    )


def _is_sum(program: Program, inputs: Sequence[str]) -> bool:
    return not any(program.graph.is_constant(value) for value in inputs)


def _unexplained(unfused: Sequence[UnfusedSite]) -> list[str]:
    return [f"{site.site} is not fused, and why is not known: {site.reason}" for site in unfused if not site.explained]


def _unsound(program: Program, options: Options) -> list[str]:
    problems = []
    for op in program.convolutions:
        target, precision = op.kernel
        name = next(iter(op.outputs.get("Output", ("?",))))
        if op.inputs.get("SecondInput") and target != "opencl":
            problems.append(
                f"the convolution that gives {name} should add a residual, which its {target} kernel does not"
            )
        if options.precision == "int8" and precision != "int8":
            problems.append(f"the convolution that gives {name} runs in {precision}, expected int8")
        if options.precision == "fp16" and precision != "fp16":
            problems.append(f"the convolution that gives {name} runs in {precision}, expected fp16")
        bits = op.attributes.get("quantize_weight_bits")
        if options.precision in WEIGHT_TYPES and bits != _BITS[options.precision]:
            problems.append(f"the weights of the convolution that gives {name} have {bits or 32} bits")
    devices = {op.kernel[0] for op in program.ops} - {"host", *options.target.split(",")}
    problems += [f"operators of {device} in a network for {options.target}" for device in sorted(devices)]
    if options.sparse is not None and not program.counts["sparse_conv2d"]:
        problems.append(
            f"no 1 x 1 convolution has {options.sparse:.0%} zeros, so none became sparse; prune it, or lower --sparse"
        )
    return problems


def _differences(program: Program, nb: Counter[tuple[str, str, str]]) -> list[str]:
    """The .nb runs, the protobuf was read: they must name the same kernels."""
    expected = Counter((op.type, *op.kernel) for op in program.ops)
    if expected == nb:
        return []
    changed = sorted({name for name, *_ in (expected - nb) + (nb - expected)})
    return [f"the .nb and the program that was audited differ in {', '.join(changed)}; report this"]
