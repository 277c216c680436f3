"""A picture of the channel groups of a network, as SVG text."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from deploy.slim.groups import ChannelGraph, Group, Member

TRUNK = ("#1f5fa8", "#a8481f", "#2f7d4f", "#6b4fa3", "#9a6b00", "#8a2f5c")
INTERNAL, FROZEN, BACK = "#9aa4b2", "#3f4753", "#e8ebef"
LEFT, BAR, ROW, TOP = 250, 330, 22, 64


def groups_svg(graph: ChannelGraph, title: str) -> str:
    """Return an SVG with a row for each layer and the channels it takes and gives, coloured by group.

    Groups of the trunk have a colour each, to show what an addition ties together; others are grey, frozen ones dark.
    """
    colours = _colours(graph)
    rows = _rows(graph)
    height = TOP + ROW * len(rows) + 16
    drawn = [
        f'<text x="16" y="24" font-weight="bold">{escape(title)}</text>',
        f'<text x="{LEFT}" y="{TOP - 14}">takes</text><text x="{LEFT + BAR + 20}" y="{TOP - 14}">gives</text>',
    ]
    for number, (layer, sides) in enumerate(rows.items()):
        top = TOP + ROW * number
        drawn.append(f'<text x="{LEFT - 10}" y="{top + 14}" text-anchor="end">{escape(layer)}</text>')
        for side, parts in sides.items():
            left = LEFT + (BAR + 20) * (side == "rows")
            drawn += _bar(parts, left, top, colours)
    width = LEFT + 2 * BAR + 40
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
        f' font-size="11"><rect width="100%" height="100%" fill="white"/>{"".join(drawn)}</svg>\n'
    )


Parts = list[tuple[Group, Member]]


def _rows(graph: ChannelGraph) -> dict[str, dict[str, Parts]]:
    found: dict[str, dict[str, Parts]] = {}
    order = {group.name: number for number, group in enumerate((*graph.groups.values(), *graph.frozen.values()))}
    for group in (*graph.groups.values(), *graph.frozen.values()):
        for member in group.members:
            if member.role in ("rows", "columns"):
                layer = member.tensor.rpartition(".")[0]
                found.setdefault(layer, {}).setdefault(member.role, []).append((group, member))
    return dict(sorted(found.items(), key=lambda item: min(order[group.name] for group, _ in _parts(item[1]))))


def _parts(sides: dict[str, Parts]) -> Iterator[tuple[Group, Member]]:
    for parts in sides.values():
        yield from parts


def _colours(graph: ChannelGraph) -> dict[str, str]:
    trunk = [group.name for group in graph if group.trunk]
    colours = {group.name: INTERNAL for group in graph} | dict.fromkeys(graph.frozen, FROZEN)
    return colours | {name: TRUNK[number % len(TRUNK)] for number, name in enumerate(trunk)}


def _bar(parts: Parts, left: int, top: int, colours: dict[str, str]) -> Iterator[str]:
    length = len(parts[0][1].units)
    yield f'<rect x="{left}" y="{top + 3}" width="{BAR}" height="{ROW - 7}" fill="{BACK}"/>'
    for group, member in parts:
        hint = f"{group.name}: {group.units} units" + (f", frozen: {group.frozen}" if group.frozen else "")
        for start, stop in _runs(member):
            x, width = left + BAR * start / length, BAR * (stop - start) / length
            yield (
                f'<rect x="{x:.1f}" y="{top + 3}" width="{width:.1f}" height="{ROW - 7}" fill="{colours[group.name]}">'
                f"<title>{escape(hint)}</title></rect>"
            )
    yield f'<text x="{left + BAR - 4}" y="{top + 14}" text-anchor="end" fill="white">{length}</text>'


def _runs(member: Member) -> Iterator[tuple[int, int]]:
    """Yield start and stop of each unbroken run of positions of the group."""
    start = None
    for position, unit in enumerate([*member.units, -1]):
        if unit >= 0 and start is None:
            start = position
        elif unit < 0 and start is not None:
            yield start, position
            start = None
