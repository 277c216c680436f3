"""Time a bundle under every runtime: python tools/benchmark.py --model bundle."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_rows import Rival, accuracy, entries, fidelity, size_mb, time_all
from benchmark_show import draw, int8_worth, show
from evaluation import Evaluated, evaluation_images

from ppresnet import cli, files, hardware
from ppresnet.bundle import DEPLOY, Bundle, LatencyRow, read_bundle
from ppresnet.errors import CheckFailedError, RequestError


def main(arguments: argparse.Namespace) -> cli.Result:
    """Print a row for every backend and precision, and return them."""
    for name in ("batch", "threads", "rounds", "images"):
        if (value := getattr(arguments, name)) is not None and value < 1:
            raise RequestError(f"--{name}: expected a number from 1 on, found {value}")
    bundle = read_bundle(arguments.model)
    machine = hardware.prepare("cpu", arguments.threads or "auto")
    cli.say(f"{arguments.model}: intact; {machine.describe()}")
    wanted = arguments.data is not None
    evaluated = evaluation_images(bundle, arguments.data or None, arguments.images) if wanted else None
    bundles = [bundle] if arguments.against is None else [_other(bundle, arguments.against), bundle]
    rows = measure(bundles, arguments.batch, machine.threads, arguments.rounds, evaluated)
    show(rows, bundle.deploy.name)
    if verdict := int8_worth(rows):
        print(verdict)
    if arguments.picture is not None:
        draw(rows, bundle.deploy.name, machine.cpu, arguments.picture)
    if arguments.record:
        record(bundle, rows[-len(entries(bundle, machine.threads, arguments.batch)) :])
    if not any(row["status"] == "ok" for row in rows):
        raise CheckFailedError(f"no backend ran: {rows[0]['status']}")
    return {
        "model": str(arguments.model),
        "cpu": machine.cpu,
        "threads": machine.threads,
        "rounds": arguments.rounds,
        "agreement_on": f"{len(evaluated.labels)} evaluation images" if evaluated else "the golden tensors",
        "against": str(arguments.against) if arguments.against is not None else None,
        "int8": verdict or None,
        "rows": rows,
    }


def measure(
    bundles: Sequence[Bundle], batch: int, threads: int, rounds: int, evaluated: Evaluated | None = None
) -> list[dict[str, Any]]:
    """Return a row per backend and precision; what fails is a row with the reason as its status.

    Args:
        bundles: of the same network, verified; the first row of the first is the reference.
        batch: images in one call.
        threads: of every backend.
        rounds: turns of each backend; a turn is a burst of timed calls.
        evaluated: images with labels, for accuracy and top-1 agreement.
    """
    inputs, _ = bundles[0].golden()
    images = np.resize(inputs, (batch, *inputs.shape[1:]))
    rivals = [Rival(bundle, entry) for bundle in bundles for entry in entries(bundle, threads, batch)]
    try:
        for rival in rivals:
            cli.say(f"opening {rival.title}")
            rival.attempt(lambda it: fidelity(it, batch))
            if evaluated is not None:
                rival.attempt(lambda it: accuracy(it, evaluated, rivals[0], batch))
        cli.say(f"timing {sum(rival.status == 'ok' for rival in rivals)} backends, {rounds} rounds")
        time_all(rivals, images, rounds)
    finally:
        for rival in rivals:
            rival.end()
    return [{**rival.row(batch), "size_mb": size_mb(rival)} for rival in rivals]


def _other(bundle: Bundle, path: Path) -> Bundle:
    """Return another bundle of the same network, such as the float one of an int8 bundle.

    Raises:
        BundleError: it is not intact.
        RequestError: it takes other images or names other classes.
    """
    other = read_bundle(path)
    if (other.deploy.inputs, other.labels) != (bundle.deploy.inputs, bundle.labels):
        raise RequestError(
            f"--against: {path} has other inputs or labels than {bundle.path}; give one of the same network"
        )
    return other


def record(bundle: Bundle, rows: list[dict[str, Any]]) -> None:
    """Write rows into the bundle's `deploy.json`, in the place of those that were there; the bundle is swapped whole.

    Raises:
        StorageError: it could not be written; the old bundle is untouched.
    """
    latency = tuple(LatencyRow(**{key: row[key] for key in LatencyRow.model_fields}) for row in rows)
    with files.staged_directory(bundle.path, replace=True) as staging:
        for name in bundle.deploy.files:
            (staging / name).write_bytes((bundle.path / name).read_bytes())
        (staging / DEPLOY).write_bytes(bundle.deploy.model_copy(update={"latency": latency}).dump().encode())


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser("Time a bundle under every runtime, and compare their answers with the golden ones.")
    parser.add_argument("--model", type=Path, required=True, metavar="BUNDLE", help="what tools/export.py wrote")
    parser.add_argument(
        "--against", type=Path, metavar="BUNDLE", help="time another bundle of the network too, such as the float one"
    )
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="images in one call")
    parser.add_argument("--threads", type=int, metavar="N", help="of every backend (default: what suits this machine)")
    parser.add_argument(
        "--rounds", type=int, default=20, metavar="N", help="turns of each backend; each is a burst of calls"
    )
    parser.add_argument(
        "--data",
        nargs="?",
        const="",
        metavar="ROOT",
        help="measure accuracy on the recipe's evaluation split, under ROOT if given",
    )
    parser.add_argument("--images", type=int, default=1000, metavar="N", help="with --data: the most images to use")
    parser.add_argument("--record", action="store_true", help="write the rows into the bundle's deploy.json")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write the rows as a PNG")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
