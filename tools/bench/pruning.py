r"""Compare our pruning with PaddleSlim's, before and after fine-tuning.

From one checkpoint, every rule takes as many channels from the same groups; BatchNorm is recalibrated, the result is
evaluated, and then fine-tuned with some seeds, all by one recipe. So what differs is the choice of channels, and that
our cut fits the weights that are left (deploy/slim/reconstruction.py), as slim recipes do. With `--labels-alone` the
teacher is ours only: slim recipes have one, while PaddleSlim's pruners leave the fine-tuning to the user. Only groups
within branches are cut, since PaddleSlim cannot cut those that a padded skip couples:

    python tools/bench/pruning.py --checkpoint runs/X -c configs/cifar10/resnet20.yaml --output runs/pruning \
        -o data.root=PATH/cifar10_jpeg.zip train.epochs=4 train.eval_every=4 train.start_size=null optim.lr=0.05 \
        schedule.warmup_epochs=0 distill.checkpoint=runs/X distill.weight=0.9 distill.maps=10

What is finished stays, so the command can be given again. It is there to check that our default is ahead of both
PaddleSlim's rules before fine-tuning at -30 % of the MACs and after it at -50 %, by more than the seeds differ, and
loses one point at most after it. `--brief` leaves out the fine-tunings that none of these figures needs.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from ppresnet import cli, hardware
from ppresnet.checkpoint import resolve
from ppresnet.config import dump, load
from ppresnet.errors import CheckFailedError, RequestError
from ppresnet.files import MANIFEST, atomic_write

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.runs import ROOT, Training, results  # a neighbour

OURS = "ours"
RULES: dict[str, tuple[str, ...]] = {
    OURS: (),
    "PaddleSlim L1": ("--engine", "paddleslim", "--importance", "l1"),
    "PaddleSlim FPGM": ("--engine", "paddleslim", "--importance", "fpgm"),
}
SHARES = (0.5, 0.7)
LOSS = 1.0  # points of top-1 that our default may lose against the whole network

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Cut:
    """A network that is cut: by which rule, to which share of the MACs, and what is left of them and of its top-1."""

    rule: str
    share: float
    macs: float
    top1: float
    folder: Path
    checkpoint: str

    def row(self, after: Sequence[float]) -> Row:
        """Return what is found, with the top-1 after each fine-tuning."""
        return {"rule": self.rule, "share": self.share, "macs": self.macs, "before": self.top1, "after": after}


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser(__doc__ or "", recipe=True)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="P", help="the whole network")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="of plans, checkpoints and runs")
    parser.add_argument(
        "--seeds", type=several, default=3, metavar="N", help="fine-tunings of each network, from 2 on (default: 3)"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="fine-tunings at a time (default: 1)")
    parser.add_argument("--labels-alone", action="store_true", help="PaddleSlim's networks have no teacher")
    parser.add_argument("--brief", action="store_true", help="at -30 %%, fine-tune nothing but ours")
    parser.add_argument(
        "--plan-flags", type=shlex.split, default="", metavar="TEXT", help='of our plan, such as "--importance obs"'
    )
    parser.add_argument(
        "--reconstruct", type=int, default=256, metavar="N", help="images our cut is fitted to (%(default)s; 0: none)"
    )
    return parser.parse_args(words)


def several(text: str) -> int:
    """Return a number from 2 on, for argparse: one alone has no spread."""
    if not (text.isdecimal() and int(text) >= 2):
        raise argparse.ArgumentTypeError(f"expected a number from 2 on, found '{text}'")
    return int(text)


def read_by(wanted: argparse.Namespace, flags: Sequence[object]) -> list[str]:
    """Return the sha256 of what a command reads: its recipe, with what that takes from others, and its checkpoint."""
    recipe = dump(load(wanted.config, wanted.overrides)).encode()
    checkpoint = (resolve(str(flags[flags.index("--checkpoint") + 1])) / MANIFEST).read_bytes()
    return [f"{name} {sha256(data).hexdigest()}" for name, data in (("recipe", recipe), ("checkpoint", checkpoint))]


def step(wanted: argparse.Namespace, program: str, answer: Path, *flags: object) -> Any:
    """Return what a command of this project answers; the answer of an earlier call serves as well.

    Raises:
        RequestError: the command failed, or the earlier answer is that of another one.
    """
    command = [*map(str, (program, "-c", wanted.config, "--json", answer, *flags))]
    command += ["-o", *wanted.overrides] if wanted.overrides else []
    asked, about = answer.with_suffix(".command"), "\n".join([*command, *read_by(wanted, flags)])
    if not answer.exists():
        answer.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(asked, about)
        done = subprocess.run([sys.executable, str(ROOT / command[0]), *command[1:]])  # noqa: S603
        if done.returncode:
            raise RequestError(f"{program} ended with {done.returncode}; see above")
    if not asked.exists() or asked.read_text(encoding="utf-8") != about:
        raise RequestError(
            f"{answer} answers another command, or one that read another recipe or checkpoint, see {asked}; give "
            "another --output"
        )
    return json.loads(answer.read_text(encoding="utf-8"))


def cut(wanted: argparse.Namespace, rule: str, share: float) -> Cut:
    """Return one network that is cut, and how well it does before it is trained again."""
    folder = wanted.output / f"{rule.replace(' ', '_').lower()}_{share:.0%}".replace("%", "")
    flags = RULES[rule] or tuple(wanted.plan_flags)
    whole, plan = ("--checkpoint", wanted.checkpoint), folder / "plan.json"
    planned = step(
        wanted, "deploy/slim/plan.py", folder / "planned.json", *whole, "--macs", share, "--scope", "internal",
        "--output", plan, *flags,
    )  # fmt: skip
    fitted = ("--reconstruct", wanted.reconstruct) if rule == OURS and wanted.reconstruct else ()
    made = step(
        wanted, "deploy/slim/cut.py", folder / "cut.json", *whole, "--plan", plan, "--output", folder / "cut", *fitted
    )
    found = step(wanted, "tools/eval.py", folder / "eval.json", "--checkpoint", made["checkpoint"])
    left = planned["after"]["macs"] / planned["before"]["macs"]
    return Cut(rule, share, left, found["top1"], folder, made["checkpoint"])


def tunings(one: Cut, wanted: argparse.Namespace) -> list[Training]:
    """Return the fine-tunings of a network that is cut, one for each seed."""
    unasked = wanted.brief and one.rule != OURS and one.share > min(SHARES)
    begin = [*wanted.overrides, f"init_from={one.checkpoint}"]
    begin += ["distill.checkpoint=null"] if wanted.labels_alone and one.rule != OURS else []
    seeds = range(1, 1 + (0 if unasked else wanted.seeds))
    return [Training(wanted.config, one.folder / f"seed{seed}", [*begin, f"seed={seed}"]) for seed in seeds]


def judge(rows: Sequence[Row], whole: float) -> list[str]:
    """Return what does not hold, a line each; `whole` is the top-1 of the network that was cut."""
    found = {(row["share"], row["rule"]): row for row in rows}
    missed = []
    for share in SHARES:
        ours = statistics.fmean(found[share, OURS]["after"])
        if ours < whole - LOSS:
            missed.append(
                f"{100 * (share - 1):.0f} % after fine-tuning: expected ours at {whole - LOSS:.2f} %, found {ours:.2f}"
            )
    for other in RULES.keys() - {OURS}:
        ours, theirs = found[0.7, OURS]["before"], found[0.7, other]["before"]
        if ours <= theirs:
            missed.append(f"-30 % before fine-tuning: expected ours above {theirs:.2f} % of {other}, found {ours:.2f}")
        both = [found[0.5, rule]["after"] for rule in (OURS, other)]
        spread = max(max(values) - min(values) for values in both)
        ours, theirs = map(statistics.fmean, both)
        if ours <= theirs + spread:
            missed.append(
                f"-50 % after fine-tuning: expected ours above {theirs:.2f} % of {other} by more than {spread:.2f}, "
                f"found {ours:.2f}"
            )
    return sorted(missed)


def main(wanted: argparse.Namespace) -> cli.Result:
    """Cut, evaluate and train all, and return what came of it."""
    whole = step(wanted, "tools/eval.py", wanted.output / "whole.json", "--checkpoint", wanted.checkpoint)
    cuts = [cut(wanted, rule, share) for share in SHARES for rule in RULES]
    planned = [tunings(one, wanted) for one in cuts]
    tuned = iter(results([training for of in planned for training in of], wanted.jobs))
    rows = [one.row([next(tuned)["top1"] for _ in of]) for one, of in zip(cuts, planned, strict=True)]
    print(f"whole network: {whole['top1']:.2f} %")
    for row in rows:
        after = ", ".join(f"{value:.2f}" for value in row["after"])
        mean = f"{after} (mean {statistics.fmean(row['after']):.2f})" if row["after"] else "not fine-tuned"
        print(f"{row['macs']:.1%} of the MACs, {row['rule']:16} {row['before']:.2f} % -> {mean}")
    problems = judge(rows, whole["top1"])
    for problem in problems:
        print(problem)
    found = {"machine": hardware.machine(), "whole": whole["top1"], "rows": rows, "problems": problems}
    atomic_write(wanted.output / "comparison.json", json.dumps(found, indent=2) + "\n")
    if problems:
        raise CheckFailedError(f"{len(problems)} figures are not as they should be; see above", found)
    return found


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
