"""Kill training over and over, resume it, and compare with a run that nobody touched.

    python tools/bench/kills.py --kills 300 --workers 0
    python tools/bench/kills.py --kills 200 --everything

At least half of the kills are aimed inside a save: the staging folder of a checkpoint is seen, and the process is
killed while it is there. The others are SIGKILL or SIGTERM at any other time. In the end the weights, the optimiser
state, the moving average, the progress and metrics.jsonl must be byte-identical to those of the uninterrupted run.
With --everything all regularisers are on, and the number of workers changes with each start: 0, 2, 4, 0 ...
"""

import argparse
import dataclasses
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ppresnet import cli
from ppresnet.errors import CheckFailedError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.killing import EVERYTHING, PLAIN, Training, kill_often  # a neighbour

COMPARED = ("weights.safetensors", "optimizer.safetensors", "ema.safetensors", "progress.json", "spec.json")


def plain(kills: int, workers: int) -> Training:
    """Return a run with random crops and masks that lasts for so many kills."""
    return Training(PLAIN, 12 + kills // 5, (workers,))


def everything(kills: int, scratch: Path) -> Training:
    """Return a run with every regulariser on that lasts for so many kills; its teacher is trained first."""
    Training(PLAIN, 1).to_the_end(scratch / "teacher")
    return Training((*EVERYTHING, f"distill.checkpoint={scratch / 'teacher'}"), 3 + kills // 4, (0, 2, 4))


def differences(ours: Path, theirs: Path) -> list[str]:
    """Return the files of the last checkpoints and the metrics that are not byte-identical."""
    last, reference = (sorted((run / "checkpoints").glob("step-*"))[-1] for run in (ours, theirs))
    pairs = [(last / name, reference / name) for name in COMPARED]
    pairs.append((ours / "metrics.jsonl", theirs / "metrics.jsonl"))
    wrong = [left.name for left, right in pairs if _content(left) != _content(right)]
    return wrong if last.name == reference.name else [f"{last.name} is not {reference.name}", *wrong]


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def main(arguments: argparse.Namespace) -> cli.Result:
    """Run both trainings and compare them."""
    with tempfile.TemporaryDirectory() as name:
        scratch, kills = Path(name), arguments.kills
        training = everything(kills, scratch) if arguments.everything else plain(kills, arguments.workers)
        dataclasses.replace(training, workers=(0,)).to_the_end(scratch / "reference")
        started = time.monotonic()
        tally = kill_often(training, scratch / "killed", kills, arguments.seed)
        training.to_the_end(scratch / "killed")
        wrong = differences(scratch / "killed", scratch / "reference")
        seconds = time.monotonic() - started
    found: dict[str, Any] = dataclasses.asdict(tally)
    found |= {"workers": list(training.workers), "everything": arguments.everything}
    print(f"{', '.join(f'{key} {value}' for key, value in found.items())}, {seconds:.0f} s")
    found["identical"] = not wrong
    if wrong:
        raise CheckFailedError(f"not byte-identical to the uninterrupted run: {', '.join(wrong)}", found)
    print("weights, optimiser, average, progress and metrics are byte-identical to the uninterrupted run's")
    return found


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser(__doc__ or "")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--kills", type=int, default=30, metavar="N", help="in all (default: 30)")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="loader processes (default: 0)")
    parser.add_argument("--everything", action="store_true", help="every regulariser on; workers 0, 2 and 4 in turn")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="decides the moments (default: 0)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
