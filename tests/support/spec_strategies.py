"""Random specs of every family, as JSON data: most fit together, some have parts that do not."""

from collections.abc import Mapping
from typing import Any, get_args

from hypothesis import strategies as st

from ppresnet.spec import Activation, Norm

Draw = st.DrawFn
Strategy = st.SearchStrategy[dict[str, Any]]
NORMS, ACTS = list(get_args(Norm)), list(get_args(Activation))
SKIPS = ["identity", "zero_pad", "projection"]


def slips(draw: Draw) -> bool:
    """Return whether to draw something that need not fit."""
    return draw(st.integers(0, 24)) == 0


def numbers(draw: Draw, low: int, high: int) -> int:
    return draw(st.integers(low, high))


def maybe(draw: Draw, values: Strategy | st.SearchStrategy[Any], otherwise: Any) -> Any:
    return draw(values) if draw(st.integers(0, 3)) == 0 else otherwise


def shared(draw: Draw, **pinned: Any) -> dict[str, Any]:
    """Return what every family has; `pinned` fields are replaced by anything now and then."""
    drawn = {
        "num_classes": numbers(draw, 1, 5),
        "in_channels": numbers(draw, 1, 4),
        "act": draw(st.sampled_from(ACTS)),
        "norm": draw(st.sampled_from(NORMS)),
        "dropout": maybe(draw, st.floats(0, 0.9), 0.0),
        "drop_path": maybe(draw, st.floats(0, 0.9), 0.0),
        "zero_init_gamma": maybe(draw, st.booleans(), False),
        "input_size": numbers(draw, 1, 40),
    }
    kept = drawn if slips(draw) else drawn | pinned
    return {"name": "random"} | kept


def stem(draw: Draw) -> dict[str, Any]:
    return {"kind": draw(st.sampled_from(["cifar", "imagenet"])), "width": numbers(draw, 1, 9)}


def staged(draw: Draw, block: Any, channels: int) -> list[list[dict[str, Any]]]:
    """Return stages of blocks; `block` draws one for the channels that reach it and returns those it gives."""
    stages = []
    for _ in range(0 if slips(draw) else numbers(draw, 1, 3)):
        blocks = []
        for _ in range(numbers(draw, 0 if slips(draw) else 1, 2)):
            drawn, channels = block(draw, channels)
            blocks.append(drawn)
        stages.append(blocks)
    return stages


def skip_to(draw: Draw, channels: int, kinds: list[str]) -> tuple[str, int, int]:
    """Return a skip, the channels and the stride that its branch must give."""
    kind = draw(st.sampled_from(kinds))
    if slips(draw):
        return kind, numbers(draw, 0, 12), numbers(draw, 0, 3)
    if kind == "identity":
        return kind, channels, 1
    return kind, channels + numbers(draw, 0, 6) if kind == "zero_pad" else numbers(draw, 1, 12), numbers(draw, 1, 3)


def branch_to(draw: Draw, width: int, inner: int, groups: int = 1) -> dict[str, Any]:
    """Return a kind of block and its widths."""
    bottleneck = groups > 1 or draw(st.booleans())
    widths = [groups * inner, groups * numbers(draw, 1, 4), width] if bottleneck else [inner, width]
    return {"kind": "bottleneck" if bottleneck is not slips(draw) else "basic", "widths": widths}


@st.composite
def resnet(draw: Draw) -> dict[str, Any]:
    def block(draw: Draw, channels: int) -> tuple[dict[str, Any], int]:
        skip, width, stride = skip_to(draw, channels, [*SKIPS, "none"])
        groups = numbers(draw, 1, 4) if draw(st.booleans()) else 1
        branch = branch_to(draw, width, numbers(draw, 1, 6), groups)
        squeeze = maybe(draw, st.integers(1, 4), None)
        return branch | {"skip": skip, "stride": stride, "groups": groups, "se": squeeze}, width

    first = stem(draw)
    stages = staged(draw, block, first["width"])
    return shared(draw) | {"family": "resnet", "stem": first, "stages": stages}


@st.composite
def preact(draw: Draw) -> dict[str, Any]:
    def block(draw: Draw, channels: int) -> tuple[dict[str, Any], int]:
        skip, width, stride = skip_to(draw, channels, SKIPS)
        branch = branch_to(draw, width, numbers(draw, 1, 6))
        strided = numbers(draw, 0, 3 if slips(draw) else 1)
        return branch | {"skip": skip, "stride": stride, "strided": strided, "shared": draw(st.booleans())}, width

    first, where = stem(draw), draw(st.sampled_from(["head", "branch"]))
    pinned = shared(draw, zero_init_gamma=False)
    return pinned | {
        "family": "preact",
        "stem": first,
        "stages": staged(draw, block, first["width"]),
        "dropout_at": where,
    }


@st.composite
def densenet(draw: Draw) -> dict[str, Any]:
    def layer(draw: Draw, channels: int) -> tuple[dict[str, Any], int]:
        return {"growth": numbers(draw, 1, 6), "bottleneck": maybe(draw, st.integers(1, 8), None)}, channels

    stages = staged(draw, layer, 0)
    between = len(stages) - (0 if slips(draw) else 1)
    widths = [numbers(draw, 1, 9) for _ in range(between)]
    pinned = shared(draw, zero_init_gamma=False)
    return pinned | {"family": "densenet", "stem": stem(draw), "stages": stages, "transitions": widths}


@st.composite
def lcnet(draw: Draw) -> dict[str, Any]:
    def block(draw: Draw, channels: int) -> tuple[dict[str, Any], int]:
        sizes = {"kernel": draw(st.sampled_from([3, 5])), "width": numbers(draw, 1, 9), "stride": numbers(draw, 1, 3)}
        return sizes | {"reduced": maybe(draw, st.integers(1, 4), None)}, channels

    pinned = shared(draw, zero_init_gamma=False, drop_path=0.0)
    stages, widths = staged(draw, block, 0), {"stem": numbers(draw, 1, 9), "hidden": numbers(draw, 1, 9)}
    return pinned | {"family": "lcnet", "stages": stages} | widths


@st.composite
def vit(draw: Draw) -> dict[str, Any]:
    def block(draw: Draw, channels: int) -> tuple[dict[str, Any], int]:
        widths = [numbers(draw, 1, 8) for _ in range(3)]
        identity = channels == widths[2] or slips(draw)
        return {"widths": widths, "skip": "identity" if identity else "projection"}, widths[2]

    patch, before, norm = numbers(draw, 1, 8), None, "layer"
    size = patch * numbers(draw, 1, 4)
    if draw(st.booleans()):
        width = numbers(draw, 1, 8)
        stages = staged(draw, block, width) if draw(st.booleans()) else []
        before, size, norm = {"width": width, "stages": stages}, 4 * size, draw(st.sampled_from(NORMS))
    blocks = [{"heads": numbers(draw, 1, 3), "head_dim": numbers(draw, 1, 4), "mlp": numbers(draw, 1, 9)}]
    sizes = {"patch": patch, "width": numbers(draw, 1, 9), "blocks": blocks * numbers(draw, 1, 2), "stem": before}
    return shared(draw, zero_init_gamma=False, norm=norm, input_size=size) | {"family": "vit"} | sizes


@st.composite
def gated(draw: Draw) -> dict[str, Any]:
    def block(draw: Draw, channels: int) -> tuple[dict[str, Any], int]:
        skip, width, stride = skip_to(draw, channels, SKIPS)
        highway = {"kind": "highway", "kernel": draw(st.sampled_from([1, 3, 5]))}
        sparse = {"kind": "sparse", "over": draw(st.sampled_from(["channel", "pixel"])), "threshold": 0.4}
        gate = draw(st.sampled_from([highway, sparse]))
        return {"widths": [numbers(draw, 1, 6), width], "skip": skip, "stride": stride, "gate": gate}, width

    first = numbers(draw, 1, 9)
    return shared(draw) | {"family": "gated", "stem": first, "stages": staged(draw, block, first)}


@st.composite
def ode(draw: Draw) -> dict[str, Any]:
    first = channels = numbers(draw, 1, 6)
    stages: list[dict[str, Any]] = []
    for _ in range(0 if slips(draw) else numbers(draw, 1, 2)):
        entry = None
        if draw(st.booleans()):
            skip, channels, stride = skip_to(draw, channels, SKIPS)
            entry = {"widths": [numbers(draw, 1, 6), channels], "skip": skip, "stride": stride}
        stages.append({"hidden": numbers(draw, 1, 6), "entry": entry})
    fixed = {"kind": draw(st.sampled_from(["euler", "rk4"])), "steps": numbers(draw, 1, 3)}
    solver = {"solver": maybe(draw, st.just({"kind": "dopri5"}), fixed)}
    pinned = shared(draw, norm=draw(st.sampled_from(["group", "layer"])))
    back = {"backward": draw(st.sampled_from(["autograd", "adjoint"]))}
    return pinned | {"family": "ode", "stem": first, "stages": stages} | solver | back


SPECS: Mapping[str, Any] = {
    "resnet": resnet,
    "preact": preact,
    "densenet": densenet,
    "lcnet": lcnet,
    "vit": vit,
    "gated": gated,
    "ode": ode,
}
