"""Plan a pruned network: python deploy/slim/plan.py --checkpoint runs/X --macs 0.5 --output plan.json."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.slim.command import (
    ENGINES,
    MEASURED,
    UNSCORED,
    USUAL_ALLOCATION,
    Opened,
    add_importance,
    expect_allocation,
    expect_channels,
    expect_engine,
    opened,
    parser,
    scores_of,
    share_or_bound,
)
from deploy.slim.latency_flags import add_timing, stopwatch_of
from ppresnet import cli
from ppresnet.errors import RequestError
from ppresnet.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.slim.allocation import Allocation
    from deploy.slim.groups import ChannelGraph
    from deploy.slim.importance import Scores
    from deploy.slim.plan_file import Plan
    from deploy.slim.target import Target
    from ppresnet.checkpoint import Checkpoint

ALLOCATIONS = (*UNSCORED, "global", "sensitivity")


def main(arguments: argparse.Namespace) -> cli.Result:
    """Write the plan, and return it."""
    expect_engine(arguments)
    expect_channels(arguments)
    expect_allocation(arguments)
    found = opened(arguments)
    from deploy.slim.grouping import channel_graph
    from ppresnet.checkpoint.state import spec_of_checkpoint

    graph = channel_graph(spec_of_checkpoint(found.checkpoint))
    target = _target(arguments, found)
    plan = (_depth if arguments.blocks else _widths)(arguments, found, graph, target)
    plan.write(arguments.output)
    if arguments.picture is not None:
        from deploy.slim.picture import groups_svg

        atomic_write(arguments.picture, groups_svg(graph, found.config.name))
    for name, reason in plan.frozen.items():
        cli.say(f"frozen: {name}: {reason}")
    before, after = plan.before, plan.after
    print(
        f"{arguments.output}: MACs {before.macs:,} to {after.macs:,} ({after.macs / before.macs:.1%}), parameters "
        f"{before.params:,} to {after.params:,} ({after.params / before.params:.1%}); "
        f"{len(plan.groups)} groups narrower, {len(plan.drop)} blocks dropped"
    )
    if plan.latency is not None:
        from deploy.slim.target import describe

        print(f"latency {describe(plan.latency)}")
    return {**plan.model_dump(mode="json"), "checkpoint": str(found.path), "plan": str(arguments.output)}


def _target(arguments: argparse.Namespace, found: Opened) -> Target:
    from deploy.slim.target import Target

    if arguments.latency is None:
        return Target("params", arguments.params) if arguments.macs is None else Target("macs", arguments.macs)
    return Target("latency", arguments.latency, stopwatch_of(arguments, found))


def _widths(arguments: argparse.Namespace, found: Opened, graph: ChannelGraph, target: Target) -> Plan:
    from deploy.slim.allocation import Limits, ranked, sensitive, uniform
    from deploy.slim.density import dense_first, densities
    from deploy.slim.planner import make_plan
    from ppresnet.checkpoint.state import spec_of_checkpoint

    limits = Limits(
        round_to=arguments.round_to,
        minimum=arguments.minimum,
        scope=arguments.scope,
        trunk_share=arguments.trunk_share,
        protected=tuple(arguments.protect),
    )
    limits.expect_names_in(graph)

    def unscored(checkpoint: Checkpoint, here: ChannelGraph, scored: Mapping[str, Scores]) -> Allocation:
        if arguments.allocation == "uniform":
            return uniform(here, scored, limits)
        found = densities(spec_of_checkpoint(checkpoint), here, limits, target.kind)
        return dense_first(here, scored, limits, found)

    if arguments.engine == "paddleslim":
        from deploy.slim.filter_pruners.planning import paddleslim_plan

        asked = arguments.importance, target, limits, arguments.steps
        return paddleslim_plan(found.checkpoint, *asked, graph, _options(arguments), unscored)
    if arguments.allocation == "sensitivity" and arguments.sensitivity is None:
        raise RequestError("--allocation sensitivity needs --sensitivity FILE; deploy/slim/sensitivity.py writes one")
    if arguments.allocation == "sensitivity" and arguments.steps > 1:
        raise RequestError(
            "--allocation sensitivity: expected --steps 1, since what a cut leaves is to be measured anew, found "
            f"{arguments.steps}; cut, measure and plan again"
        )

    def allocator(checkpoint: Checkpoint, here: ChannelGraph) -> Allocation:
        scored = scores_of(arguments, found.config, checkpoint, here)
        if arguments.allocation in UNSCORED:
            return unscored(checkpoint, here, scored)
        if arguments.allocation == "global":
            return ranked(here, scored, limits, "none" if arguments.importance in MEASURED else "mean")
        return sensitive(here, scored, limits, _curves(arguments.sensitivity, checkpoint))

    return make_plan(found.checkpoint, target, allocator, arguments.steps, graph, _options(arguments))


def _curves(file: Path, checkpoint: Checkpoint) -> dict[str, list[tuple[float, float]]]:
    from deploy.slim.sensitivities import read_sensitivity
    from ppresnet.checkpoint.state import final_weights, weights_sha

    measured = read_sensitivity(file)
    if measured.settings.get("weights") != weights_sha(final_weights(checkpoint)):
        raise RequestError(
            f"{file} was measured on other weights than those that are cut; run deploy/slim/sensitivity.py for them"
        )
    return measured.curves()


def _depth(arguments: argparse.Namespace, found: Opened, graph: ChannelGraph, target: Target) -> Plan:
    from deploy.slim.depth import contributions, depth_plan, expect_blocks
    from deploy.slim.subset import load_subset
    from ppresnet.checkpoint.state import spec_of_checkpoint

    expect_blocks(spec_of_checkpoint(found.checkpoint))
    measured = contributions(found.checkpoint, graph, load_subset(found.config, "train", arguments.images))
    for name, quality in measured.items():
        cli.say(f"without {name}: top-1 {quality.top1:.2f} %, loss {quality.loss:.4f}")
    plan = depth_plan(found.checkpoint, graph, measured, target)
    return plan.model_copy(update={"options": _options(arguments)})


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    plain = {key: str(value) if isinstance(value, Path) else value for key, value in vars(arguments).items()}
    return {key: plain[key] for key in sorted(plain) if key not in ("json", "debug", "output", "picture")}


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    made = parser("Choose the channels, or the blocks, that stay, so that the network costs what it may.")
    made.add_argument("--output", type=Path, required=True, metavar="FILE", help="the plan, JSON")
    made.add_argument("--picture", type=Path, metavar="FILE", help="write the channel groups as an SVG")
    cost = made.add_mutually_exclusive_group(required=True)
    cost.add_argument("--macs", type=float, metavar="X", help="share of the MACs that may be left, such as 0.5")
    cost.add_argument("--params", type=float, metavar="X", help="share of the parameters that may be left")
    cost.add_argument("--latency", type=float, metavar="X", help="share of the measured latency that may be left")
    made.add_argument("--engine", choices=ENGINES, default="ppresnet", help="who chooses channels (default ppresnet)")
    made.add_argument("--allocation", choices=ALLOCATIONS, default=USUAL_ALLOCATION, help="among groups (%(default)s)")
    made.add_argument("--sensitivity", type=Path, metavar="FILE", help="for --allocation sensitivity")
    made.add_argument("--blocks", action="store_true", help="drop whole residual blocks instead of channels")
    made.add_argument("--round-to", type=int, default=1, choices=(1, 2, 4, 8, 16, 32), help="kept channels (1)")
    made.add_argument("--minimum", type=cli.positive, default=1, metavar="N", help="channels that each group keeps (1)")
    made.add_argument("--scope", choices=("all", "trunk", "internal"), default="all", help="groups to cut (all)")
    made.add_argument(
        "--trunk-share",
        type=share_or_bound,
        default=1.0,
        metavar="X",
        help="what density and uniform take from trunk groups (1)",
    )
    made.add_argument("--protect", nargs="*", default=[], metavar="NAME", help="groups that stay; * is a wildcard")
    made.add_argument("--steps", type=cli.positive, default=1, metavar="N", help="score anew between so many cuts (1)")
    add_importance(made)
    add_timing(made, "for --latency")
    return made.parse_args(argv)


if __name__ == "__main__":
    cli.tidy_on_sigterm()
    sys.exit(cli.run(main, parse()))
