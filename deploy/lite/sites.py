"""Is a promised site fused by Paddle Lite, and if not, why?

What the fusion passes of Lite 2.12 take in stands in lite/core/optimizer/mir/fusion: conv_activation_fuse_pass,
elementwise_add_activation_fuse_pass and conv_elementwise_tree_fuse_pass (the last for OpenCL only).
"""

from deploy.inference.judge import Walk, follow
from deploy.lite.options import Options
from deploy.lite.program import Program
from ppresnet.bundle import Site, UnfusedSite

# Activations that a convolution kernel applies itself, by the device it runs on.
_ACTS = {
    "arm": ("relu", "relu6", "leaky_relu", "hard_swish"),
    "x86": ("relu", "relu6", "leaky_relu", "hard_swish"),
    "opencl": ("relu", "relu6", "leaky_relu", "hard_swish", "hard_sigmoid", "sigmoid"),
}


def judge_site(program: Program, site: Site, options: Options) -> UnfusedSite | None:
    """Return why a promised site did not become one operator, or None when it did."""
    graph = program.graph
    matches = [op for op in graph.live if op.filter is not None and site.parameter in graph.sources(op.filter)]
    if len(matches) != 1:
        problem = f"expected one convolution with the filter {site.parameter}, found {len(matches)}"
        return UnfusedSite(site=site.name, reason=problem, explained=False)
    found = follow(graph, matches[0], site)
    if found.problem:
        return UnfusedSite(site=site.name, reason=found.problem, explained=False)
    if not found.left:
        return None
    left = ", ".join(dict.fromkeys(found.left))
    cause = _cause(program, site, found, options)
    return UnfusedSite(
        site=site.name, reason=f"{left} outside the convolution: {cause or 'why is not known'}", explained=bool(cause)
    )


def _cause(program: Program, site: Site, found: Walk, options: Options) -> str:
    if {"batch_norm", "bias"}.intersection(found.left):
        return ""
    device = "opencl" if options.target.startswith("opencl") else options.target
    act_alone = [each for each in found.left if each != "addition"]
    if found.addition is None:
        if site.act not in _ACTS[device] or (site.act == "hard_swish" and "residual" not in site.pattern):
            return f"the {device} kernels of Lite do not apply {site.act} here"
        return ""
    if act_alone and site.act == "relu":
        return ""
    if device != "opencl":
        added = "the sum and its relu are one operator" if site.act == "relu" else f"it does not apply {site.act}"
        return f"Lite adds inside convolutions on OpenCL only; on {device} {added}"
    addition, value = found.addition
    shape = program.shapes.get(site.parameter, ())
    if shape[2:] != (1, 1):
        return f"on OpenCL Lite adds inside 1 x 1 convolutions only; this filter is {' x '.join(map(str, shape[2:]))}"
    if addition.inputs[0] == value:
        return "on OpenCL Lite wants the convolution as the second input of the addition; write `identity + out`"
    return f"on OpenCL Lite adds inside a convolution only when relu or nothing follows; here it is {site.act}"
