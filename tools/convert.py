"""Foreign weights as a checkpoint: python tools/convert.py -c RECIPE --source torchvision --weights F --output P."""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppresnet import cli, files, hardware
from ppresnet.checkpoint import Checkpoint
from ppresnet.config import RunConfig, load, to_dict
from ppresnet.errors import CheckFailedError, DataError
from ppresnet.weights import SOURCES, Weights, read_weights

if TYPE_CHECKING:
    from paddle import nn

    from ppresnet.bundle import ParityRow
    from ppresnet.models import ImportReport


def main(arguments: argparse.Namespace) -> cli.Result:
    """Read, import, write, check, and return what became of every tensor."""
    config = load(arguments.config, arguments.overrides)
    weights = read_weights(arguments.weights, entry=arguments.entry)
    hardware.start(config.hardware.device, config.hardware.threads, cli.say)
    from ppresnet.export.imported import import_parity
    from ppresnet.models import build, import_weights
    from ppresnet.spec import spec_of

    model = build(spec_of(**config.model.model_dump(), input_size=config.data.input_size))
    with files.staged_directory(arguments.output) as staging:
        report = import_weights(model, weights.tensors, arguments.source)
        model.eval()
        inputs, classes, notes = _inputs(config)
        _write(staging, model, config, classes)
        rows, parity_notes = import_parity(staging, model, weights.tensors, arguments.source, inputs, report)
        (staging / files.MANIFEST).unlink()  # it is written again when the folder goes into place
        result = _result(arguments, weights, report, rows, [*weights.notes, *notes, *parity_notes])
        _show(result)
        if failures := [_sentence(row) for row in rows if row.status != "ok"]:
            raise CheckFailedError("no checkpoint was made:\n" + "\n".join(failures), result)
    cli.say(f"{arguments.output}: a checkpoint of {config.model.name}")
    return result


def _inputs(config: RunConfig) -> tuple[dict[Any, Any], list[str], list[str]]:
    """Return inputs by kind, the class names of the recipe's data, and what could not be had."""
    from ppresnet.data import open_split, preprocess_of
    from ppresnet.export import golden

    model = config.model
    preprocess = preprocess_of(config.data, model.in_channels)
    inputs: dict[Any, Any] = {"random": golden.random_inputs(4, preprocess)}
    try:
        source = open_split(config.data, "val", in_channels=model.in_channels, num_classes=model.num_classes)
    except DataError as error:
        return inputs, [], [f"no class names, and checked on random inputs only: {error}"]
    try:
        inputs["real"] = golden.real_inputs(4, config, preprocess)
    except DataError as error:
        return inputs, list(source.classes), [f"checked on random inputs only: {error}"]
    return inputs, list(source.classes), []


def _write(directory: Path, model: nn.Layer, config: RunConfig, classes: list[str]) -> None:
    from ppresnet.checkpoint.codec import encode
    from ppresnet.checkpoint.state import weights_of
    from ppresnet.train.progress import Progress

    progress = Progress(classes=classes).to_dict()
    spec = model.spec.model_dump(mode="json")
    for name, data in encode(Checkpoint(weights_of(model), {}, {}, spec, to_dict(config), progress)).items():
        (directory / name).write_bytes(data)
    files.write_manifest(directory)


def _result(
    arguments: argparse.Namespace, weights: Weights, report: ImportReport, rows: list[ParityRow], notes: list[str]
) -> dict[str, Any]:
    return {
        "parity": [row.model_dump(mode="json") for row in rows],
        "mapped": [list(pair) for pair in report.mapped],
        "unmapped": list(report.unmapped),
        "reinitialised": [list(pair) for pair in report.reinitialised],
        "adapted": list(report.adapted),
        "notes": notes,
        "format": weights.format,
        "sha256": hashlib.sha256(arguments.weights.read_bytes()).hexdigest(),
        "output": str(arguments.output),
    }


def _show(result: dict[str, Any]) -> None:
    print(f"{len(result['mapped'])} tensors imported from a {result['format']}, {len(result['unmapped'])} not needed")
    if result["reinitialised"]:
        names = ", ".join(ours for _, ours in result["reinitialised"])
        print(f"the number of classes differs: {names} were drawn anew and must be trained")
    for line in (*result["adapted"], *result["notes"]):
        print(line)
    for row in result["parity"]:
        print(f"parity with {row['format']}, {row['data']} batch of {row['batch']}: {row['rel_diff']} {row['status']}")


def _sentence(row: ParityRow) -> str:
    return f"parity: {row.format} under {row.runtime}, {row.data} batch of {row.batch}: {row.status}"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser("Turn weights of another library into a checkpoint of a recipe, and check it.", recipe=True)
    parser.add_argument("--source", required=True, choices=SOURCES, help="whose names the tensors have")
    parser.add_argument(
        "--weights", type=Path, required=True, metavar="F", help=".safetensors, .pth, .pt, .th or .pdparams"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="P", help="the new checkpoint folder")
    parser.add_argument("--entry", metavar="NAME", help="which state dict of several, such as state_dict_ema")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
