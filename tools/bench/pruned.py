"""Time a network and what pruning leaves of it, in turn: python tools/bench/pruned.py --check --json FILE.

The weights are random, since speed does not depend on them. Two pruned networks are timed: one cut to a share of the
MACs, and one cut to a share of the latency by the planner, which measures as it searches. Widths are rounded, so that
the kernels' vectors are full. Every ratio is a median over rounds, with an interval of 95 % from order statistics.

It is there to check that resnet50 at 224 with half its MACs is at least 1.6 times as fast under oneDNN in float32, and
that a target of 60 % of the latency is met within 10 %. `load` is that of the machine before and after: where it is not
near zero, the figures mean little.
"""

import argparse
import os
import sys
from typing import Any

from ppresnet import cli, hardware
from ppresnet.errors import CheckFailedError

MACS, LATENCY, TOLERANCE, FASTER = 0.5, 0.6, 0.1, 1.6


def main(wanted: argparse.Namespace) -> cli.Result:
    """Plan, time, print, and check the figures where that is asked for."""
    threads = hardware.start("cpu", wanted.threads or "auto", cli.say).threads
    before = os.getloadavg()[0]
    rows = measured(wanted, threads)
    problems = judge(rows)
    for problem in problems:
        print(problem)
    workload = {name: getattr(wanted, name) for name in ("model", "round_to", "rounds")}
    found = {
        "machine": hardware.machine(),
        "workload": {**workload, "threads": threads},
        "load": [before, os.getloadavg()[0]],
        "rows": rows,
        "problems": problems,
    }
    if wanted.check and problems:
        raise CheckFailedError("; ".join(problems), found)
    return found


def measured(wanted: argparse.Namespace, threads: int) -> dict[str, dict[str, Any]]:
    """Return for each target what is left of the MACs, and how the times compare."""
    from deploy.inference.runtime import Runtime
    from deploy.slim.allocation import Limits, uniform
    from deploy.slim.families import narrowed
    from deploy.slim.grouping import channel_graph
    from deploy.slim.importance import scores
    from deploy.slim.kept import Kept
    from deploy.slim.latency import Stopwatch
    from deploy.slim.planner import make_plan
    from deploy.slim.target import Target, describe
    from ppresnet.checkpoint import Checkpoint
    from ppresnet.checkpoint.state import weights_of
    from ppresnet.models import create

    model = create(wanted.model)
    spec = model.spec
    checkpoint = Checkpoint(weights_of(model), {}, {}, spec.model_dump(mode="json"), {}, {})
    graph, limits = channel_graph(spec), Limits(round_to=wanted.round_to)
    drawn = scores(graph, {}, "random")
    runtime = Runtime("onednn", "fp32", format="pdmodel", threads=threads)
    rows: dict[str, dict[str, Any]] = {}
    for target in (Target("macs", MACS), Target("latency", LATENCY, Stopwatch(runtime))):
        cli.say(f"planning for {target.share:.0%} of the {target.kind}")
        plan = make_plan(checkpoint, target, lambda _, here: uniform(here, drawn, limits), graph=graph)
        # Measured once more, with all rounds, by a stopwatch that knows nothing of the search.
        found = Stopwatch(runtime, rounds=wanted.rounds).compare(spec, narrowed(spec, Kept(graph, plan.keep)))
        left, faster = plan.after.macs / plan.before.macs, (1 / found.ratio, 1 / found.high, 1 / found.low)
        print(f"{wanted.model}, {target.share:.0%} of its {target.kind}: {left:.1%} of the MACs, {describe(found)}")
        print(f"  {faster[0]:.2f} times as fast ({faster[1]:.2f} to {faster[2]:.2f})")
        rows[target.kind] = {"target": target.share, "macs": left, **found.model_dump(), "times_as_fast": faster}
    return rows


def judge(rows: dict[str, dict[str, Any]]) -> list[str]:
    """Return a sentence for every figure that is not as it should be."""
    problems = []
    if (faster := rows["macs"]["times_as_fast"][0]) < FASTER:
        problems.append(f"{MACS:.0%} of the MACs: expected {FASTER} times as fast, found {faster:.2f}")
    if abs(rows["latency"]["ratio"] / LATENCY - 1) > TOLERANCE:
        found = rows["latency"]["ratio"]
        problems.append(f"a latency of {LATENCY:.0%}: expected it within {TOLERANCE:.0%}, found {found:.1%}")
    return problems


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser(__doc__ or "")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--model", default="resnet50", help="a name from tools/zoo.py (default: resnet50)")
    parser.add_argument("--round-to", type=int, default=16, metavar="N", help="of the widths (default: 16)")
    parser.add_argument("--threads", type=int, metavar="N", help="of oneDNN (default: what suits this machine)")
    parser.add_argument("--rounds", type=int, default=40, metavar="N", help="passes of each network (default: 40)")
    parser.add_argument("--check", action="store_true", help="fail where a figure is not as it should be")
    wanted = parser.parse_args(argv)
    if wanted.rounds < 30:
        parser.error(f"--rounds: expected at least 30, found {wanted.rounds}")
    return wanted


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
