"""What a process does for the test of watching in a group: python watched_worker.py FOLDER MINE."""

import sys
from pathlib import Path

from machine import MACHINE
from watched_run import recipe

from ppresnet.train.ranks import join
from ppresnet.train.run import train


def main(folder: Path, mine: Path) -> None:
    """Train a recipe without and with watchers; `mine` is for this process's textfile alone."""
    ranks = join("cpu")
    model = {"norm": "sync_batch"}
    train(recipe({}, model=model), folder / "plain", MACHINE, report=_silent, ranks=ranks)
    log = {
        **{"visualdl": True, "histograms_every": 1, "images": 3, "graph": True},
        **{"gradients_every": 1, "activations_every": 1, "textfile": str(mine / "run.prom")},
    }
    train(recipe(log, model=model), folder / "watched", MACHINE, report=_silent, ranks=ranks)


def _silent(_: str) -> None:
    return None


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
