"""Look at the blocks of a trained network: python tools/analyze.py --checkpoint runs/digits_resnet20."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from ppresnet import cli, hardware
from ppresnet.checkpoint.opening import Opened, opened
from ppresnet.errors import RequestError

COLUMNS = {
    "block": "block",
    "kind": "kind",
    "skip": "skip",
    "input_rms": "input RMS",
    "output_rms": "output RMS",
    "change": "added / carried",
    "gradient": "gradient",
    "weight_gradient": "weight gradient",
    "zeros": "zeros",
    "dead_relus": "dead ReLUs",
}


def main(arguments: argparse.Namespace) -> cli.Result:
    """Print one row for each block, and return them."""
    if arguments.images < 1:
        raise RequestError(f"--images: expected 1 or more, found {arguments.images}")
    found = opened(arguments)
    hardware.start(found.config.hardware.device, found.config.hardware.threads, cli.say)
    from ppresnet.checkpoint.state import model_of
    from ppresnet.train.curves import draw_flow
    from ppresnet.train.flow import measure_flow
    from ppresnet.train.seeds import seed_paddle

    seed_paddle(found.config.seed, "analyze")  # dropout and drop path, where the network has them
    flow = measure_flow(model_of(found.checkpoint), _batches(found, arguments.images), found.config.train.loss)
    result = asdict(flow) | {"images": arguments.images, "checkpoint": str(found.path)}
    show(result["blocks"], f"{found.config.name}: loss {flow.loss:.4f}, top-1 {flow.top1:.2f} % on training images")
    if arguments.picture is not None:
        draw_flow(flow, arguments.picture)
    return result


def show(blocks: list[dict[str, Any]], title: str) -> None:
    """Print the table."""
    table = Table(*COLUMNS.values(), title=title)
    for block in blocks:
        table.add_row(*(_shown(block[key]) for key in COLUMNS))
    cli.console(160).print(table)


def _shown(value: object) -> str:
    return "-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _batches(found: Opened, most: int) -> Iterator[tuple[Any, Any]]:
    """Yield training images that are not augmented, spread over the split, in batches of the recipe's size."""
    import numpy as np

    from ppresnet.data import Samples, open_split, preprocess_of

    config = found.config
    channels, classes = config.model.in_channels, config.model.num_classes
    source = open_split(config.data, "train", in_channels=channels, num_classes=classes)
    samples = Samples(source, preprocess_of(config.data, channels))
    spread = np.unique(np.linspace(0, len(source) - 1, min(len(source), most)).astype(np.int64))
    # Splits are often sorted by class, and a batch has to be like the whole.
    order = np.random.default_rng(0).permutation(spread)
    for start in range(0, len(order), config.train.batch_size):
        batch = samples.load(0, order[start : start + config.train.batch_size])
        if len(batch.labels):
            yield batch.images, batch.labels


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser(
        "Show what each block of a network does to the features that stream through it, and to the gradient: how much "
        "it adds to what its skip carries, how large the gradient is that reaches it, and which of its ReLUs are dead.",
        recipe=False,
    )
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="P", help="a step folder or a run folder")
    parser.add_argument("--images", type=int, default=256, metavar="N", help="training images (default 256)")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw it as a PNG")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
