"""Evaluate a checkpoint: python tools/eval.py --checkpoint runs/digits_resnet20."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from eval_show import show_classes, show_confusion

from ppresnet import cli, hardware
from ppresnet.checkpoint.opening import opened
from ppresnet.config import RunConfig
from ppresnet.data.views import VIEWS
from ppresnet.errors import RequestError

if TYPE_CHECKING:
    from ppresnet.train.metrics import Evaluation
    from ppresnet.train.multilabel import MultiLabelEvaluation


def main(arguments: argparse.Namespace) -> cli.Result:
    """Print the metrics, and return them."""
    found = opened(arguments)
    config = found.config
    _expect_fitting(config, arguments)
    hardware.start(config.hardware.device, config.hardware.threads, cli.say)
    from ppresnet.checkpoint.state import model_of
    from ppresnet.train.evaluate import evaluate_split
    from ppresnet.train.multilabel import MultiLabelEvaluation

    result = evaluate_split(model_of(found.checkpoint), config, arguments.tta)
    trained: list[str] = found.checkpoint.progress.get("classes") or []
    if trained and trained != list(result.classes):
        cli.say(
            f"the network was trained on the classes {', '.join(trained[:5])} ... and these images have "
            f"{', '.join(result.classes[:5])} ...: they are compared in this order"
        )
    views = "" if arguments.tta == "none" else f", views: {arguments.tta}"
    title = f"{config.name}, split '{config.data.val}'{views}"
    if isinstance(result, MultiLabelEvaluation):
        result.threshold = 0.5 if arguments.threshold is None else arguments.threshold
        special = _several(result, title)
    else:
        special = _one(result, title, arguments)
    common = {"images": result.count, "per_class": result.per_class(), "tta": arguments.tta}
    return {**result.figures(), **common, **special, "broken": result.broken, "checkpoint": str(found.path)}


def _expect_fitting(config: RunConfig, arguments: argparse.Namespace) -> None:
    several = config.data.multi_label
    wrong = {"--threshold": arguments.threshold is not None and not several}
    wrong |= {"--picture": several and arguments.picture, "--reliability": several and arguments.reliability}
    for flag, bad in wrong.items():
        if bad:
            needed = "several labels an image" if flag == "--threshold" else "one label an image"
            raise RequestError(f"{flag} is for {needed}; data.multi_label is {str(several).lower()}; leave it out")


def _one(result: "Evaluation", title: str, arguments: argparse.Namespace) -> dict[str, object]:
    from ppresnet.train.curves import draw_confusion, draw_reliability

    calibration = result.calibration
    show_classes(result.per_class(), title)
    show_confusion(result.classes, result.confusion.tolist())
    print(
        f"top-1 {result.top1:.2f} %  top-5 {result.top5:.2f} %  loss {result.loss:.4f}  ECE {calibration.ece:.2f} %  "
        f"images {result.count}"
    )
    if arguments.picture is not None:
        draw_confusion(result.confusion, result.classes, arguments.picture)
    if arguments.reliability is not None:
        draw_reliability(calibration, arguments.reliability)
    return {"confusion": result.confusion.tolist(), "ece": calibration.ece, "calibration": calibration.rows()}


def _several(result: "MultiLabelEvaluation", title: str) -> dict[str, object]:
    show_classes(result.per_class(), f"{title}, threshold {result.threshold:g}")
    overall = result.overall()
    rates = "  ".join("-" if rate is None else f"{name} {rate:.2f} %" for name, rate in overall.items())
    print(
        f"mAP {result.map:.2f} %  {rates}  top-1 {result.top1:.2f} %  top-5 {result.top5:.2f} %  "
        f"loss {result.loss:.4f}  images {result.count}"
    )
    return {"threshold": result.threshold, "overall": overall}


def _probability(text: str) -> float:
    value = float(text)
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"expected a number between 0 and 1, found {text}")
    return value


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser("Evaluate a checkpoint on the evaluation split of its recipe, or of another one.", recipe=False)
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="P", help="a step folder or a run folder")
    parser.add_argument(
        "--tta", choices=tuple(VIEWS), default="none", help="average the probabilities of these views of each image"
    )
    parser.add_argument(
        "--threshold", type=_probability, metavar="P", help="several labels: probability of what is found (default 0.5)"
    )
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write the confusion matrix as a PNG")
    parser.add_argument("--reliability", type=Path, metavar="FILE", help="write confidence and accuracy as a PNG")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
