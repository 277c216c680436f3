"""Look into bundles: python tools/bundle.py inspect|verify|diff A [B]."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from bundle_show import show_difference
from rich.table import Table

from ppresnet import cli, hardware
from ppresnet.bundle import ONNX, Bundle, read_bundle
from ppresnet.errors import CheckFailedError, PpresnetError, RequestError
from ppresnet.export.difference import difference


def main(arguments: argparse.Namespace) -> cli.Result:
    """Do what was asked for, and return the finding."""
    if (arguments.other is not None) != (arguments.action == "diff"):
        raise RequestError(
            f"'{arguments.action}' takes {'two bundles' if arguments.action == 'diff' else 'one bundle'}"
        )
    bundle = read_bundle(arguments.bundle)
    if arguments.action == "inspect":
        return inspect(bundle)
    if arguments.action == "verify":
        return verify(bundle, run=not arguments.bytes_only)
    found = difference(bundle, read_bundle(arguments.other))
    show_difference(found)
    return found


def inspect(bundle: Bundle) -> dict[str, Any]:
    """Print what a bundle says of itself, and return its `deploy.json`."""
    deploy, console = bundle.deploy, cli.console(None)
    shape = [(tuple(port.shape), port.dtype) for port in (*deploy.inputs, *deploy.outputs)]
    top1 = "not known" if deploy.source.top1 is None else f"{deploy.source.top1:.2f} %"
    patterns = ", ".join(
        f"{count} {pattern}" for pattern, count in Counter(site.pattern for site in deploy.sites).items()
    )
    facts = {
        "name": deploy.name,
        "network": f"{deploy.spec.get('name')}, {len(bundle.labels)} classes",
        "made of": f"{deploy.source.checkpoint} ({deploy.source.sha256[:12]})",
        "top-1": top1,
        "input": " ".join(map(str, shape[0])),
        "output": " ".join(map(str, shape[1])),
        "scores": deploy.activation,
        "preprocessing": deploy.preprocess.model_dump_json(),
        "made by": ", ".join(f"{name} {version}" for name, version in deploy.producers.items()),
        "promised sites": patterns or "none",
        "parity": _worst(bundle),
        "fusion": "; ".join(
            f"{row.format} {row.backend} {row.fused} of {row.sites} ({row.basis})" for row in deploy.fusion
        ),
        "latency": "; ".join(
            f"{row.backend} {row.precision} {row.p50_ms:.2f} ms" for row in deploy.latency if row.p50_ms
        )
        or "not recorded; tools/benchmark.py --record does it",
    }
    table = Table("", str(bundle.path), show_lines=False)
    for name, value in facts.items():
        table.add_row(name, value)
    for name, entry in deploy.files.items():
        table.add_row(name, f"{entry.size:,} bytes, sha256 {entry.sha256[:12]}")
    console.print(table)
    return deploy.model_dump(mode="json")


def verify(bundle: Bundle, *, run: bool) -> dict[str, Any]:
    """Run the golden tensors through every format of a bundle whose bytes were verified, and return the findings.

    Args:
        bundle: verified.
        run: False leaves it at the bytes.

    Raises:
        CheckFailedError: a format does not give the golden outputs.
    """
    rows = golden_rows(bundle) if run else []
    table = Table("what", "runtime", "relative difference", "status")
    table.add_row(f"{len(bundle.deploy.files) + 1} files", "sha256", "-", "ok")
    for row in rows:
        shown = "-" if row["rel_diff"] is None else f"{row['rel_diff']:.1e}"
        table.add_row(f"golden tensors, {row['format']}", row["runtime"], shown, row["status"])
    cli.console(None).print(table)
    failed = [f"{row['format']} under {row['runtime']}: {row['status']}" for row in rows if row["status"] != "ok"]
    if failed:
        raise CheckFailedError(
            "the bytes are intact, but not every runtime here gives the golden outputs:\n" + "\n".join(failed)
        )
    return {"files": sorted(bundle.deploy.files), "golden": rows}


def golden_rows(bundle: Bundle) -> list[dict[str, Any]]:
    """Return a row per format and runtime of this machine: how far it is from the golden outputs."""
    cli.say(hardware.prepare("cpu").describe())
    from jury import Jury
    from runtimes import installed

    from deploy.inference.predictor import GOLDEN_LIMITS
    from ppresnet.export.parity import relative_difference

    inputs, expected = bundle.golden()
    onnx = ("onnx",) if ONNX in bundle.deploy.files and installed("onnxruntime") else ()
    rows = []
    with Jury(bundle.path) as jury:
        limit = GOLDEN_LIMITS[bundle.precision]
        for candidate in jury.candidates((*bundle.formats, *onnx), bundle.precision):
            found: float | None = None
            try:
                found = relative_difference(candidate.open()(inputs), expected)
                status = "ok" if found <= limit else f"differs by {found:.1e}, more than {limit:g}"
            except PpresnetError as error:
                status = str(error)
            rows.append({"format": candidate.format, "runtime": candidate.runtime, "rel_diff": found, "status": status})
    return rows


def _worst(bundle: Bundle) -> str:
    worst: dict[str, float] = {}
    for row in bundle.deploy.parity:
        if row.rel_diff is not None:
            worst[row.format] = max(worst.get(row.format, 0.0), row.rel_diff)
    failed = sorted({row.format for row in bundle.deploy.parity if row.status != "ok"})
    shown = ", ".join(f"{format} {value:.1e}" for format, value in worst.items())
    return f"{shown}{'; failed and left out: ' + ', '.join(failed) if failed else ''}" or "not checked"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser("Look into a bundle, verify it, or say what changed between two.")
    parser.add_argument("action", choices=("inspect", "verify", "diff"), help="what to do")
    parser.add_argument("bundle", type=Path, metavar="A", help="a bundle; every byte of it is verified first")
    parser.add_argument("other", type=Path, nargs="?", metavar="B", help="diff: the bundle to compare with")
    parser.add_argument("--bytes-only", action="store_true", help="verify: do not run the golden tensors")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
