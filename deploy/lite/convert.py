"""Convert a bundle for an edge board: python deploy/lite/convert.py --model BUNDLE --target arm --output DIR."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from deploy.lite.audit import audit
from deploy.lite.conversion import TAILORING, Source, expect_whole, is_quantised
from deploy.lite.handover import describe, fill
from deploy.lite.interpreter import prepare
from deploy.lite.options import PRECISIONS, TARGETS, Options, check
from deploy.lite.process import TIMEOUT
from deploy.lite.program import kernels_in
from deploy.lite.prove import ProofRow, failures, prove
from deploy.lite.reader import read_program
from deploy.lite.report import MODEL, LiteReport, report_of
from deploy.lite.show import audit_table, proof_table
from deploy.lite.sizes import size_rows, size_table
from ppresnet import cli, files
from ppresnet.bundle import PARAMS, PDMODEL, Bundle, read_bundle
from ppresnet.errors import CheckFailedError


def main(arguments: argparse.Namespace) -> cli.Result:
    """Convert, audit, prove, and put the folder into place when everything holds."""
    options = Options(arguments.target, arguments.precision, arguments.sparse)
    check(options, quantised=options.precision == "int8")
    files.expect_apart(arguments.output, arguments.model, *([arguments.program] if arguments.program else []))
    bundle = read_bundle(arguments.model)
    program = arguments.program or bundle.file(PDMODEL)
    params = program.with_suffix(".pdiparams") if arguments.program else bundle.file(PARAMS)
    # Without Lite: a wrong request needs no second interpreter.
    read = Source(Path(), program, params).read()
    check(options, is_quantised(read))
    expect_whole(read)
    python = prepare(cli.say)
    source = Source(python, program, params, arguments.timeout)
    plain = Source(python, bundle.file(PDMODEL), bundle.file(PARAMS), arguments.timeout)
    if arguments.output.parent.is_dir():
        files.remove_stale_staging(arguments.output.parent)
    with files.staged_directory(arguments.output, replace=True) as staging, tempfile.TemporaryDirectory() as work:
        report, problems = _convert(bundle, source, plain, options, staging, Path(work), arguments.sizes)
        result = _result(report, problems, arguments.output)
        if problems:
            raise CheckFailedError("nothing was written:\n" + "\n".join(problems), result)
    cli.say(f"{arguments.output}: {report.size_bytes:,} bytes; {report.executed}")
    return result


def _convert(
    bundle: Bundle, source: Source, plain: Source, options: Options, staging: Path, work: Path, sizes: bool
) -> tuple[LiteReport, list[str]]:
    """Fill a staged folder, and return its report with everything that is wrong."""
    cli.say(f"converting for {options.label}")
    nb = source.nb(options, work / "model", record=True)
    converted = source.protobuf(options, work / "program")
    kernels = kernels_in(nb.read_bytes())
    program = read_program((converted / "model").read_bytes(), "the program of Paddle Lite")
    audited = audit(program, bundle.deploy.sites, options, kernels)
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(audit_table(audited, options))
    cli.say("running it on this host with Lite's own kernels")
    rows = _prove(bundle, source, plain, options, converted, work)
    console.print(proof_table(rows))
    table = size_rows(None if is_quantised(plain.read()) else plain, source, work) if sizes else ()
    if table:
        console.print(size_table(table))
    shutil.copyfile(nb, staging / MODEL)
    (staging / "tailoring").mkdir()
    for name in TAILORING:
        # Lite hides them; its build script looks for the hidden names.
        shutil.copyfile(work / "model" / f".tailored_{name}", staging / "tailoring" / f".tailored_{name}")
    fill(staging, bundle)
    report = report_of(bundle, source.program, options, nb.read_bytes(), audited, rows)
    report = report.model_copy(update={"sizes": table})
    describe(staging, report)
    return report, [*audited.problems, *failures(rows)]


def _prove(
    bundle: Bundle, source: Source, plain: Source, options: Options, converted: Path, work: Path
) -> list[ProofRow]:
    rows = [] if is_quantised(plain.read()) else prove(plain, options, converted, bundle.golden(), work)
    if options.precision == "int8":
        from deploy.lite.simulate import simulate

        rows += simulate(source.program, source.params, bundle.golden())
    return rows


def _result(report: LiteReport, problems: list[str], output: Path) -> dict[str, object]:
    found = report.model_dump(mode="json")
    keys = (
        "target",
        "precision",
        "sparse",
        "lite_version",
        "executed",
        "ops",
        "fusion",
        "parity",
        "size_bytes",
        "sizes",
    )
    return {**{key: found[key] for key in keys}, "failures": problems, "output": str(output)}


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser("Convert a bundle for Paddle Lite, audited and proved, into a folder for a board.")
    parser.add_argument("--model", type=Path, required=True, metavar="BUNDLE", help="what tools/export.py wrote")
    parser.add_argument("--target", required=True, metavar="T", help=" | ".join(TARGETS))
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="an older one there is replaced")
    parser.add_argument("--precision", default="fp32", metavar="P", help=" | ".join(PRECISIONS) + " (default fp32)")
    parser.add_argument(
        "--sparse", type=float, nargs="?", const=0.6, metavar="S", help="store 1 x 1 filters with S zeros sparse (0.6)"
    )
    parser.add_argument(
        "--program", type=Path, metavar="FILE", help="a quantised .pdmodel of the same network, .pdiparams beside it"
    )
    parser.add_argument("--sizes", action="store_true", help="also try every other option and show its size")
    parser.add_argument(
        "--timeout",
        type=float,
        default=TIMEOUT,
        metavar="S",
        help=f"seconds for a step of Lite (default {TIMEOUT:g})",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    cli.tidy_on_sigterm()
    sys.exit(cli.run(main, parse()))
