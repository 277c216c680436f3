"""Is a promised site fused? Pure: an optimised graph and a site in, the reason why not out."""

from collections.abc import Mapping

from deploy.inference.graph import Graph, Op, op_name
from ppresnet.bundle import Site

NATIVE = "native CPU kernels fuse nothing but BatchNorm; {left} by itself"
ONEDNN = "{left} by itself: Paddle's oneDNN passes did not take it into the convolution"
GPU = "{left} by itself: the GPU passes did not take it into the convolution"
REASONS: Mapping[str, str] = {"native": NATIVE, "onednn": ONEDNN, "gpu": GPU}


def unfused_reason(graph: Graph, site: Site, backend: str) -> str:
    """Return why a site did not become one operator, or nothing when it did.

    Args:
        graph: the program after the passes of a backend.
        site: what was promised.
        backend: `native`, `onednn` or `gpu`.
    """
    matches = [op for op in graph.live if op.filter is not None and site.parameter in graph.sources(op.filter)]
    if len(matches) != 1:
        return f"expected one operator with the filter {site.parameter}, found {len(matches)}"
    left, problem = _left_over(graph, matches[0], site)
    if problem:
        return problem
    return REASONS[backend].format(left=_runs(left)) if left else ""


def _left_over(graph: Graph, conv: Op, site: Site) -> tuple[list[str], str]:
    """Follow a convolution to the end of its pattern; return what runs by itself on the way, and what stopped the walk."""
    wanted = ["residual"] * ("residual" in site.pattern and conv.residual is None)
    act = op_name(site.act) if site.act else None
    # A projection may take the addition and the activation of its block; then the branch feeds it as the residual.
    takes_sum = conv.residual is not None and "residual" not in site.pattern
    if act and conv.act is None:
        wanted.append(act)
    elif conv.act != act and not takes_sum:
        return [], f"expected {act or 'no activation'} in the convolution, found {conv.act}"
    left: list[str] = []
    value = conv.outputs[0]
    while True:
        users = graph.users(value)
        step = _absorbs(graph, users[0], value) if len(users) == 1 else ""
        if step in ("batch_norm", "bias"):
            left.append(step)
        elif step in wanted:
            del wanted[: wanted.index(step) + 1]
            if users[0].filter is None:
                left.append("addition" if step == "residual" else step)
        else:
            break
        if users[0].act in wanted:
            wanted.remove(users[0].act)
        value = users[0].outputs[0]
    if wanted:
        found = ", ".join(op.type for op in users) or "the output"
        return left, f"expected {wanted[0]} after {conv.outputs[0]}, found {found}"
    return left, ""


def _absorbs(graph: Graph, user: Op, value: str) -> str:
    """Return which part of a pattern an operator is for the value it takes."""
    if user.filter is not None:
        return "residual" if user.residual == value else ""
    if user.type == "add":
        other = [each for each in user.inputs if each != value]
        return "bias" if other and all(graph.is_constant(each) for each in other) else "residual"
    return user.type


def _runs(left: list[str]) -> str:
    names = list(dict.fromkeys(left))
    return " and ".join(names) + (" run" if len(names) > 1 else " runs")
