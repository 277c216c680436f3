"""Is a promised site fused? Pure: an optimised graph and a site in, the reason why not out."""

from dataclasses import dataclass

from deploy.inference.graph import Graph, Op, op_name
from ppresnet.bundle import Site, UnfusedSite

# Two operators for one function; only the second is known to the fusion passes.
ALIKE = {"silu": "swish"}
# Operators by which a skip is known that is more than its input, and what such a skip is called.
SKIPS = {"pad3d": "a padded skip", "multiply": "a gated skip", "elementwise_mul": "a gated skip"}


@dataclass(frozen=True)
class Walk:
    """What came after a convolution, up to the end of its pattern.

    Attributes:
        conv: the convolution.
        left: parts of the pattern that run by themselves: `batch_norm`, `bias`, `addition` or an activation.
        problem: what was found where a part of the pattern was expected; empty if all were found.
        addition: the operator that adds the residual by itself, if one does, and the value of the convolution it takes.
    """

    conv: Op
    left: tuple[str, ...]
    problem: str = ""
    addition: tuple[Op, str] | None = None


def judge(graph: Graph, site: Site, backend: str) -> UnfusedSite | None:
    """Return why a site did not become one operator, or None when it did.

    Args:
        graph: the program after the passes of a backend.
        site: what was promised.
        backend: `native`, `onednn` or `gpu`.
    """
    matches = [op for op in graph.live if op.filter is not None and site.parameter in graph.sources(op.filter)]
    if len(matches) != 1:
        problem = f"expected one operator with the filter {site.parameter}, found {len(matches)}"
        return UnfusedSite(site=site.name, reason=problem, explained=False)
    walk = follow(graph, matches[0], site)
    if walk.problem:
        return UnfusedSite(site=site.name, reason=walk.problem, explained=False)
    if not walk.left:
        return None
    *first, last = dict.fromkeys(walk.left)
    names = f"{', '.join(first)} and {last} run by themselves" if first else f"{last} runs by itself"
    cause = _cause(graph, site, walk, backend)
    return UnfusedSite(site=site.name, reason=f"{names}: {cause or 'the reason is not known'}", explained=bool(cause))


def _cause(graph: Graph, site: Site, walk: Walk, backend: str) -> str:
    act = _function(site.act)
    if "batch_norm" in walk.left and walk.conv.depthwise and backend != "onednn":
        return "only the oneDNN passes fold the BatchNorm of a depthwise convolution"
    if backend == "native":
        return "Paddle's native CPU kernels take in BatchNorm and nothing else"
    if backend == "gpu" and act not in (None, "relu"):
        return "the GPU passes take in relu only, and an addition only together with it"
    if walk.addition is not None:
        addition, value = walk.addition
        others = [each for each in addition.inputs if each != value]
        if backend == "gpu" and addition.inputs[0] == value:
            return "the GPU passes want the convolution as the second input; write `identity + out`"
        if backend == "onednn" and others and not graph.ancestors(value).intersection(others):
            skip = _skip(graph, others[0], value)
            return f"the oneDNN pass for .pdmodel wants a residual that the convolution depends on; {skip} is not"
    if "silu" in walk.left and backend == "onednn":
        return "the oneDNN passes know the operator swish, not silu; build the network with nn.Swish"
    if act == "leaky_relu" and backend == "onednn":
        return "the pass for .json crashes on leaky_relu (Paddle 3.3.1) and is off; .pdmodel fuses it"
    return ""


def _skip(graph: Graph, residual: str, value: str) -> str:
    """Return what to call a residual by the operators that make it and that the value does not need."""
    own = graph.ancestors(residual) - graph.ancestors(value)
    types = [op.type for op in graph.ops if own.intersection(op.outputs)]
    return next((name for type, name in SKIPS.items() if type in types), f"the output of {types[-1]}")


def follow(graph: Graph, conv: Op, site: Site) -> Walk:
    """Return what stands after the convolution of a site, up to the end of its pattern."""
    act = _function(site.act)
    # A projection may take the addition and the activation of its block; then the branch feeds it as the residual.
    takes_sum = conv.residual is not None and "residual" not in site.pattern
    if _function(conv.act) not in (None, act) and not takes_sum:
        return Walk(conv, (), f"expected {act or 'no activation'} in the convolution, found {conv.act}")
    wanted = ["addition"] * ("residual" in site.pattern and conv.residual is None)
    wanted += [act] if act and conv.act is None else []
    left: list[str] = []
    addition = None
    value = conv.outputs[0]
    while True:
        users = graph.users(value)
        part = _part(graph, users[0], value) if len(users) == 1 else ""
        if part not in ("batch_norm", "bias", *wanted):
            break
        user = users[0]
        if part in wanted:
            wanted.remove(part)
        if user.filter is None:
            left.append(user.type if part == act else part)
        if part == "addition" and user.filter is None:
            addition = user, value
        wanted = [each for each in wanted if each != _function(user.act)]
        value = user.outputs[0]
    found = ", ".join(user.type for user in users) or "the output"
    problem = f"expected {wanted[0]} after {conv.type} '{site.parameter}', found {found}" if wanted else ""
    return Walk(conv, tuple(left), problem, addition)


def _part(graph: Graph, user: Op, value: str) -> str:
    """Return which part of a pattern an operator is for the value it takes."""
    if user.filter is not None:
        return "addition" if user.residual == value else ""
    if user.type == "add":
        others = [each for each in user.inputs if each != value]
        return "bias" if others and all(graph.is_constant(each) for each in others) else "addition"
    return ALIKE.get(user.type, user.type)


def _function(act: str | None) -> str | None:
    name = op_name(act) if act else None
    return ALIKE.get(name, name) if name else None
