"""Check a folder for a board, and run its network where this host can: python deploy/lite/verify.py --folder DIR."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from deploy.lite.interpreter import prepare
from deploy.lite.program import kernels_in
from deploy.lite.prove import failures, prove_nb, run_nb
from deploy.lite.report import LITE_JSON, MODEL, LiteReport
from deploy.lite.show import proof_table
from ppresnet import cli, hardware
from ppresnet.bundle import GOLDEN, read_golden
from ppresnet.errors import BundleError, CheckFailedError, DataError, RequestError
from ppresnet.files import read_verified
from ppresnet.pixels import SUFFIXES, BrokenImage, Preprocess, decode, is_image, read_image

_BATCH = 32


def main(arguments: argparse.Namespace) -> cli.Result:
    """Verify every byte, reproduce the golden tensors, and compare on real images when there are any."""
    folder = arguments.folder
    report = read_folder(folder)
    if report.target != "x86":
        cli.say(f"{folder}: every file is as it was written; {report.executed}: run `board` on the board")
        return {"executed": report.executed, "parity": [], "top1_agreement": None}
    python = prepare(cli.say)
    golden = read_golden(folder / GOLDEN, report.input_shape, report.output_shape)
    rows = prove_nb(python, folder / MODEL, golden, report.precision)
    cli.console(None).print(proof_table(rows))
    if found := failures(rows):
        raise CheckFailedError("\n".join(found))
    result: dict[str, Any] = {
        "executed": "run on this host",
        "parity": [row.model_dump() for row in rows],
        "top1_agreement": None,
    }
    if arguments.images is not None:
        if arguments.model is None:
            raise RequestError("--images needs --model BUNDLE, whose answers the network is compared with")
        result["top1_agreement"] = _agreement(python, folder, report, arguments)
    return result


def read_folder(folder: Path) -> LiteReport:
    """Return `lite.json` of a folder after every byte of it was checked.

    Raises:
        BundleError: a file is missing, altered or unlisted, or the `.nb` is for another device than `lite.json` says.
    """
    if not folder.is_dir():
        raise BundleError(f"no folder {folder}; expected one that deploy/lite/convert.py wrote")
    contents = read_verified(folder, BundleError, (LITE_JSON, MODEL))
    if missing := {LITE_JSON, MODEL} - contents.keys():
        raise BundleError(f"{folder} has no {sorted(missing)[0]}; convert the bundle again")
    try:
        report = LiteReport.model_validate_json(contents[LITE_JSON])
    except ValidationError as error:
        raise BundleError(f"{folder / LITE_JSON} is not of this version: {error.errors()[0]['msg']}") from error
    devices = {device for _, device, _ in kernels_in(contents[MODEL])} - {"host"}
    if not devices <= set(report.target.split(",")):
        raise BundleError(
            f"{folder}: {LITE_JSON} says {report.target}, and {MODEL} is for {', '.join(sorted(devices))}"
        )
    return report


def _agreement(python: Path, folder: Path, report: LiteReport, arguments: argparse.Namespace) -> float:
    """Return the percentage of images that get the same first class from Lite and from Paddle Inference."""
    hardware.start("cpu", "auto", cli.say)
    from deploy.inference import Predictor

    images = _images(arguments.images, arguments.most, report.preprocess)
    logits = Predictor(arguments.model).logits(images)
    found = run_nb(python, folder / MODEL, images, _BATCH)
    agreement = float(100 * (found.argmax(1) == logits.argmax(1)).mean())
    cli.say(f"top-1 agreement with Paddle Inference on {len(images)} images: {agreement:.2f} %")
    return agreement


def _images(folder: Path, most: int, preprocess: Preprocess) -> NDArray[np.float32]:
    """Return the first images below a folder, preprocessed: float32 [n, channels, size, size].

    Raises:
        RequestError: there is none.
        DataError: one cannot be read.
    """
    paths = sorted(path for path in folder.rglob("*") if is_image(path.name))[:most]
    if not paths:
        raise RequestError(f"--images: no image below {folder} ({' '.join(sorted(SUFFIXES))})")
    images = []
    for path in paths:
        try:
            images.append(preprocess(decode(read_image(path), preprocess.in_channels)))
        except (BrokenImage, OSError) as error:
            raise DataError(f"--images: {path} cannot be read: {error}; repair or remove it") from error
    return np.stack(images)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser("Check a folder for a board, and run its network where this host can.")
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR", help="what deploy/lite/convert.py wrote")
    parser.add_argument("--model", type=Path, metavar="BUNDLE", help="the bundle it was made of, for --images")
    parser.add_argument("--images", type=Path, metavar="DIR", help="also compare the first classes of these images")
    parser.add_argument(
        "--most", type=cli.positive, default=1000, metavar="N", help="images to compare at most (default 1000)"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
