"""A picture of one block before and after fusion, as SVG text."""

from collections.abc import Iterator, Sequence
from html import escape

from deploy.inference.graph import Graph, Op
from ppresnet.bundle import Site

ACTS = ("relu", "leaky_relu", "silu", "swish", "gelu", "hard_swish")
FOLLOWERS = ("batch_norm", "add", *ACTS)
COLOURS = {"conv": "#1f5fa8", "add": "#a8481f", "batch_norm": "#6b4fa3"}
OTHER = "#4b5563"
SIDE, BOX, ROW, TOP, TALL = 420, 260, 56, 80, 34


def block_svg(before: Graph, after: Graph, sites: Sequence[Site], block: str) -> str:
    """Return an SVG of the operators of one block, as exported and as they run.

    Args:
        before: the exported program.
        after: the program after the passes.
        sites: what `promised_sites` gave for the network.
        block: structured name of the block, such as `stages.0.0`.

    Raises:
        ValueError: the network promises nothing under that name.
    """
    parameters = {site.parameter for site in sites if site.name.startswith(f"{block}.")}
    if not parameters:
        raise ValueError(f"no site is inside '{block}'; expected the start of a name such as '{sites[0].name}'")
    sides = [
        ("as exported", before, operators(before, parameters)),
        ("as it runs", after, operators(after, parameters)),
    ]
    height = TOP + ROW * (1 + max(len(ops) for _, _, ops in sides))
    drawn = "".join(
        _side(f"{block} {title}", graph, ops, SIDE * side) for side, (title, graph, ops) in enumerate(sides)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * SIDE} {height}"'
        ' font-family="sans-serif" font-size="13">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{OTHER}"/></marker></defs>'
        f'<rect width="100%" height="100%" fill="white"/>{drawn}</svg>\n'
    )


def operators(graph: Graph, parameters: set[str]) -> list[Op]:
    """Return the operators of a block in the order they run: each convolution and what follows up to an activation."""
    chosen: list[Op] = []
    unfinished: set[str] = set()
    for op in graph.live:
        inside = bool(graph.sources(op.filter) & parameters) if op.filter is not None else False
        if inside or (op.type in FOLLOWERS and unfinished.intersection(op.inputs)):
            chosen.append(op)
            # An activation ends a pattern, fused or not; what takes its output belongs to the next one.
            unfinished.update(() if op.type in ACTS or op.act else op.outputs)
    return chosen


def _side(title: str, graph: Graph, ops: list[Op], x: int) -> str:
    left = x + 40
    boxes = [_box("input", left, 0, OTHER)]
    boxes += [_box(_label(graph, op), left, row, _colour(op)) for row, op in enumerate(ops, 1)]
    arrows = [_arrow(left, start, end) for start, end in sorted(set(_edges(graph, ops)))]
    return f'<text x="{left}" y="34" font-weight="bold">{escape(title)}</text>' + "".join(arrows + boxes)


def _edges(graph: Graph, ops: list[Op]) -> Iterator[tuple[int, int]]:
    rows = {value: row for row, op in enumerate(ops, 1) for value in op.outputs}
    for row, op in enumerate(ops, 1):
        for value in op.inputs:
            if not graph.is_constant(value):
                yield rows.get(value, 0), row


def _label(graph: Graph, op: Op) -> str:
    is_bias = op.type == "add" and any(graph.is_constant(value) for value in op.inputs)
    name = "add bias" if is_bias else op.type
    return " + ".join([name, *(["residual"] if op.residual else []), *([op.act] if op.act else [])])


def _colour(op: Op) -> str:
    return COLOURS["conv"] if op.filter is not None else COLOURS.get(op.type, OTHER)


def _box(label: str, left: int, row: int, colour: str) -> str:
    top = TOP - TALL + ROW * row
    return (
        f'<rect x="{left}" y="{top}" width="{BOX}" height="{TALL}" rx="6" fill="{colour}"/>'
        f'<text x="{left + BOX // 2}" y="{top + 22}" text-anchor="middle" fill="white">{escape(label)}</text>'
    )


def _arrow(left: int, start: int, end: int) -> str:
    begin, finish = TOP + ROW * start, TOP - TALL + ROW * end
    if end == start + 1:
        path = f"M{left + BOX // 2} {begin}V{finish}"
    else:
        side, bend = left + BOX, 18 + 12 * min(end - start, 4)
        low, high = begin - TALL // 2, finish + TALL // 2
        path = f"M{side} {low}C{side + bend} {low} {side + bend} {high} {side} {high}"
    return f'<path d="{path}" fill="none" stroke="{OTHER}" stroke-width="1.5" marker-end="url(#tip)"/>'
