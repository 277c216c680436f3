"""Export a checkpoint as a proved bundle: python tools/export.py --checkpoint runs/digits_resnet20 --output bundle."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export_show import show
from jury import Jury
from runtimes import installed

from ppresnet import cli, files, hardware
from ppresnet.bundle import Deploy, ParityRow
from ppresnet.checkpoint.opening import Opened, opened
from ppresnet.errors import CheckFailedError, DataError, RequestError

if TYPE_CHECKING:
    from deploy.inference.audit import AuditReport
    from ppresnet.export.stage import Subject

FORMATS = ("json", "pdmodel", "onnx")


def main(arguments: argparse.Namespace) -> cli.Result:
    """Stage the bundle, check it, put it into place, and return what the checks found."""
    found = opened(arguments)
    files.expect_apart(arguments.output, found.path)
    hardware.start(found.config.hardware.device, found.config.hardware.threads, cli.say)
    formats, notes = _formats(arguments.formats)
    if arguments.output.parent.is_dir():
        files.remove_stale_staging(arguments.output.parent)
    with files.staged_directory(arguments.output, replace=True) as staging:
        deploy, report, audit = _export(found, staging, formats, arguments.tolerance)
    report = {**report, "notes": notes + report["notes"], "output": str(arguments.output)}
    show(deploy, report["notes"])
    if arguments.picture is not None:
        _draw(audit, arguments.picture)
    if failures := report["failures"]:
        raise CheckFailedError("\n".join(failures), report)
    cli.say(f"{arguments.output}: {', '.join(sorted(deploy.files))}")
    return report


def _formats(asked: str | None) -> tuple[tuple[str, ...], list[str]]:
    """Return the formats to make, and a sentence for each that this installation cannot make."""
    from ppresnet.export.onnx import can_convert
    from ppresnet.paddle_api import has_json

    cannot = {}
    if not has_json():
        cannot["json"] = "this Paddle writes no .json; Paddle 3.x does"
    if not can_convert() or not installed("onnxruntime"):
        cannot["onnx"] = "paddle2onnx, onnx and onnxruntime are not all installed"
    if asked is None:
        return tuple(name for name in FORMATS if name not in cannot), [
            f"no {name}: {why}" for name, why in cannot.items()
        ]
    wanted = tuple(name.strip() for name in asked.split(","))
    if unknown := [name for name in wanted if name not in FORMATS]:
        raise RequestError(f"--formats: unknown format '{unknown[0]}'; expected some of {','.join(FORMATS)}")
    if "pdmodel" not in wanted:
        raise RequestError("--formats: a bundle always has pdmodel, which every Paddle tool reads; add it")
    if missing := [name for name in wanted if name in cannot]:
        raise RequestError(f"--formats: no {missing[0]}: {cannot[missing[0]]}")
    return tuple(name for name in FORMATS if name in wanted), []


def _export(
    source: Opened, staging: Path, formats: tuple[str, ...], tolerance: float
) -> tuple[Deploy, dict[str, Any], AuditReport]:
    """Fill a staged folder and check it.

    Raises:
        CheckFailedError: the `.pdmodel` did not pass, without which there is no bundle.
    """
    import numpy as np

    from ppresnet.export import golden, parity, stage

    subject = stage.subject_of(source.checkpoint, source.path, source.config)
    inputs, notes = {"random": golden.random_inputs(4, subject.preprocess)}, []
    try:
        inputs["real"] = golden.real_inputs(4, source.config, subject.preprocess)
    except DataError as error:
        notes.append(f"checked on random inputs only: {error}")
    tensors = np.concatenate([inputs["real"][:3], inputs["random"][:1]]) if "real" in inputs else inputs["random"]
    cli.say(f"writing {', '.join(formats)}")
    stage.write_files(subject, staging, formats, tensors)
    cli.say("comparing every format with the network")
    with Jury(staging) as jury:
        rows = parity.check_parity(subject.logits, jury.candidates(formats), inputs, tolerance)  # type: ignore[arg-type]
    failures = [_sentence(row) for row in rows if row.status != "ok"]
    failed = parity.failed_formats(rows)
    if "pdmodel" in failed:
        raise CheckFailedError("no bundle was made:\n" + "\n".join(failures))
    for format in failed:
        stage.drop_format(staging, format)
    audit = _audit(subject, staging)
    cli.console().print(audit.table())
    deploy = stage.write_deploy(subject, staging, rows, audit.rows)
    failures += [
        f"fusion: {row.format} {row.backend}: {site.site} is not fused, and why is not known: {site.reason}"
        for row in audit.rows
        for site in row.unfused
        if not site.explained
    ]
    made = deploy.model_dump(mode="json")
    report = {**{key: made[key] for key in ("parity", "fusion", "files")}, "notes": notes, "failures": failures}
    return deploy, report, audit


def _audit(subject: Subject, staging: Path) -> AuditReport:
    from deploy.inference.audit import audit

    size = subject.preprocess.input_size
    cli.say("counting the operators that really run")
    return audit(staging, subject.sites, (1, subject.preprocess.in_channels, size, size))


def _draw(audit: AuditReport, picture: Path) -> None:
    """Write a block as an SVG, before the passes and after the best measured ones: the first one with a fused sum.

    Where no sum is promised it is the first block that promises anything, or else the stem.
    """
    from deploy.inference.render import block_svg

    found = min(audit.sites, key=lambda one: ("residual" not in one.pattern, "stages" not in one.name), default=None)
    if found is None:
        cli.say("no picture: the network promises no convolution that runs as one operator with what follows it")
        return
    best = max((row for row in audit.rows if row.basis == "measured"), key=lambda row: row.fused)
    after = audit.graphs[f"{best.backend} {best.format}"]
    block = found.name.split(".branch.")[0] if ".branch." in found.name else found.name.rsplit(".", 2)[0]
    files.atomic_write(picture, block_svg(audit.graphs["before"], after, audit.sites, block))


def _sentence(row: ParityRow) -> str:
    return f"parity: {row.format} under {row.runtime}, {row.data} batch of {row.batch}: {row.status}"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser("Export a checkpoint as a bundle, every format of it compared with the network.", recipe=False)
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="P", help="a step folder or a run folder")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="the bundle; an older one there is replaced"
    )
    parser.add_argument(
        "--tolerance", type=float, default=1e-4, metavar="X", help="largest relative difference (default 1e-4)"
    )
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="write one block before and after fusion as an SVG"
    )
    parser.add_argument("--formats", metavar="A,B", help="of json,pdmodel,onnx (default: all that can be made here)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
