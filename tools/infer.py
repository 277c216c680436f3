"""Classify images: python tools/infer.py --model runs/digits_resnet20 --input picture.png."""

import argparse
import sys
from pathlib import Path

import numpy as np
from rich.table import Table

from ppresnet import cli, hardware
from ppresnet.errors import DataError, RequestError
from ppresnet.pixels import SUFFIXES, BrokenImage, decode, is_image, read_image


def main(arguments: argparse.Namespace) -> cli.Result:
    """Print the top classes of each image, and return them."""
    files = image_files(arguments.input)
    hardware.start("auto", "auto", cli.say)
    from classifier import open_classifier

    classifier = open_classifier(arguments.model)
    results, broken = [], []
    for start in range(0, len(files), arguments.batch_size):
        readable, images = [], []
        for file in files[start : start + arguments.batch_size]:
            try:
                images.append(decode(read_image(file), classifier.in_channels))
                readable.append(file)
            except (BrokenImage, OSError) as error:
                broken.append({"file": str(file), "reason": str(error)})
                cli.say(f"{file}: {error}; skipped")
        if images:
            scores = classifier.scores(images)
            pairs = zip(readable, scores, strict=True)
            results += [_row(file, row, classifier.labels, arguments.top) for file, row in pairs]
    if not results:
        reason = broken[0]["reason"]
        raise DataError(f"none of {len(files)} files under {arguments.input} is a readable image; the first: {reason}")
    _show(results)
    return {"results": results, "broken": broken}


def image_files(path: Path) -> list[Path]:
    """Return the file itself, or the images under a folder in alphabetical order.

    Raises:
        RequestError: the path is missing or the folder holds no image.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise RequestError(f"--input: expected an image or a folder of images, found nothing at {path}")
    files = sorted(file for file in path.rglob("*") if is_image(file.name))
    if not files:
        raise RequestError(f"--input: {path} holds no image ({' '.join(sorted(SUFFIXES))})")
    return files


def _row(file: Path, scores: np.ndarray, labels: tuple[str, ...], top: int) -> dict[str, object]:
    order = np.argsort(-scores, kind="stable")[:top]
    return {"file": str(file), "labels": [labels[i] for i in order], "scores": [float(scores[i]) for i in order]}


def _show(results: list[dict[str, object]]) -> None:
    table = Table("file", "classes, most likely first")
    for row in results:
        pairs = zip(row["labels"], row["scores"], strict=True)  # type: ignore[call-overload]
        table.add_row(str(row["file"]), "  ".join(f"{label} {score:.3f}" for label, score in pairs))
    cli.console(None).print(table)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser("Classify images with a checkpoint or a bundle.")
    parser.add_argument("--model", type=Path, required=True, metavar="P", help="a checkpoint, a run folder or a bundle")
    parser.add_argument(
        "--input", type=Path, required=True, metavar="FILE_OR_DIR", help="an image or a folder of images"
    )
    parser.add_argument("--top", type=cli.positive, default=5, metavar="K", help="classes shown per image")
    parser.add_argument("--batch-size", type=cli.positive, default=32, metavar="N", help="images per forward pass")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
