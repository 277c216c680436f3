"""Classify images with a bundle: python -m deploy.inference --model bundles/digits --input picture.png.

`--input -` reads the names of image files from stdin, one a line, and answers each at once: a stream without a camera.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ppresnet import cli, hardware
from ppresnet.errors import DataError, RequestError
from ppresnet.pixels import BrokenImage, decode, read_image

if TYPE_CHECKING:
    from deploy.inference import Predictor


def main(arguments: argparse.Namespace) -> cli.Result:
    """Print one line per image, and return the results."""
    stream = arguments.input == "-"
    files = _stream(sys.stdin) if stream else _files(Path(arguments.input))
    predictor = _open(arguments)
    results: list[dict[str, Any]] = []
    broken: list[dict[str, str]] = []
    for batch in _batches(files, 1 if stream else arguments.batch_size):
        found = _classify(predictor, batch, arguments.top_k, broken)
        for row in found:
            pairs = zip(row["labels"], row["scores"], strict=True)
            print(row["file"], *(f"{label} {score:.4f}" for label, score in pairs), sep="\t", flush=True)
        results += found
    if broken and not results:
        raise DataError(f"none of {len(broken)} files is a readable image; the first: {broken[0]['reason']}")
    return {"backend": predictor.runtime.backend, "format": predictor.format, "results": results, "broken": broken}


def _open(arguments: argparse.Namespace) -> "Predictor":
    hardware.start("auto", arguments.threads or "auto", cli.say)
    from deploy.inference import Predictor

    predictor = Predictor(
        arguments.model,
        arguments.backend,
        arguments.precision,
        arguments.format,
        arguments.threads,
        arguments.batch_size,
    )
    difference = predictor.check_golden()
    cli.say(f"{arguments.model}: verified; golden tensors differ by {difference:.1e} on {predictor.runtime.backend}")
    return predictor


def _classify(
    predictor: "Predictor", files: list[Path], top: int, broken: list[dict[str, str]]
) -> list[dict[str, Any]]:
    images, readable = [], []
    for file in files:
        try:
            images.append(decode(read_image(file), predictor.bundle.deploy.preprocess.in_channels))
            readable.append(file)
        except (BrokenImage, OSError) as error:
            cli.say(f"{file}: {error}; skipped")
            broken.append({"file": str(file), "reason": str(error)})
    rows = []
    for file, scores in zip(readable, predictor(images), strict=True):
        order = np.argsort(-scores, kind="stable")[:top]
        labels = [predictor.labels[index] for index in order]
        rows.append({"file": str(file), "labels": labels, "scores": [float(scores[index]) for index in order]})
    return rows


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else []
    if not files:
        raise RequestError(f"--input: expected an image, a folder of images or '-', found nothing at {path}")
    return files


def _stream(lines: Iterable[str]) -> Iterator[Path]:
    return (Path(line.rstrip("\n")) for line in lines if line.strip())


def _batches(files: Iterable[Path], size: int) -> Iterator[list[Path]]:
    waiting = iter(files)
    while batch := list(islice(waiting, size)):
        yield batch


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser("Classify images with a bundle.")
    parser.prog = "python -m deploy.inference"
    parser.add_argument("--model", type=Path, required=True, metavar="BUNDLE", help="folder that tools/export.py wrote")
    parser.add_argument(
        "--input", required=True, metavar="FILE_OR_DIR", help="an image, a folder, or - for names on stdin"
    )
    parser.add_argument(
        "--backend", default="auto", choices=("auto", "native", "onednn", "openvino", "gpu", "tensorrt")
    )
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16", "fp16", "int8"))
    parser.add_argument(
        "--format", default="auto", choices=("auto", "json", "pdmodel"), help="which program of the bundle"
    )
    parser.add_argument("--threads", type=cli.positive, metavar="N", help="of the CPU kernels")
    parser.add_argument(
        "--batch-size", type=cli.positive, default=32, metavar="N", help="images run at once (default 32)"
    )
    parser.add_argument("--top-k", type=cli.positive, default=5, metavar="K", help="classes to show (default 5)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
