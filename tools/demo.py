"""The whole path on real digits, each step by its own command: bash tools/demo.sh."""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from rich.table import Table

from deploy.lite.interpreter import prepare
from ppresnet import cli
from ppresnet.config import load
from ppresnet.data import open_split
from ppresnet.errors import CheckFailedError, PpresnetError, RequestError

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "configs" / "digits" / "resnet20.yaml"
LEAST_TOP1 = 97.0


@dataclass
class Demo:
    """Runs commands into one new folder and keeps what they found."""

    folder: Path
    rows: list[tuple[str, str, str, float]] = field(default_factory=list)

    def step(self, title: str, *command: str) -> dict[str, Any]:
        """Run a tool of the project with `--json` and return its result.

        Raises:
            PpresnetError: the tool failed; its own message stands on stderr.
        """
        cli.say(f"\n== {title}: python {' '.join(command)}")
        result = self.folder / f"{title.replace(' ', '_')}.json"
        self.started = time.monotonic()
        done = subprocess.run([sys.executable, *command, "--json", str(result)], cwd=ROOT, check=False)  # noqa: S603
        if done.returncode != 0:
            raise PpresnetError(f"{title} ended with exit code {done.returncode}; its message stands above")
        found: dict[str, Any] = json.loads(result.read_text())
        return found

    def note(self, title: str, outcome: str, where: str | Path) -> None:
        """Add a row to the closing table."""
        place = Path(where)
        shown = place.relative_to(ROOT) if place.is_relative_to(ROOT) else place
        self.rows.append((title, outcome, str(shown), time.monotonic() - self.started))

    def board(self, bundle: Path) -> None:
        """Convert the bundle for ARM boards, or say what is missing for that."""
        output = self.folder / "board"
        try:
            prepare(cli.say)
        except PpresnetError as error:
            self.started = time.monotonic()
            cli.say(f"\n== board: left out. {error}")
            self.note("board", "left out: Paddle Lite is missing; `bash tools/setup.sh --lite` says why", bundle)
            return
        options = ("--model", str(bundle), "--target", "arm", "--output", str(output), "--sizes")
        made = self.step("board", "deploy/lite/convert.py", *options)
        apart = max(row["rel_diff"] for row in made["parity"])
        self.note("board", f".nb for ARM, {made['size_bytes']:,} bytes; run for x86 it differs by {apart:.0e}", output)

    def show(self) -> None:
        """Print the closing table."""
        table = Table("step", "outcome", "where", "seconds", title="ppresnet, the whole path on real digits")
        for title, outcome, where, seconds in self.rows:
            table.add_row(title, outcome, where, f"{seconds:.1f}")
        cli.console(None).print(table)


def main(arguments: argparse.Namespace) -> cli.Result:
    """Train, evaluate, classify, export, verify, benchmark and predict."""
    started = time.monotonic()
    demo = Demo(_new_folder(arguments.output))
    run = demo.folder / "run"
    trained = demo.step("train", "tools/train.py", "-c", str(RECIPE), "--output", str(run))
    demo.note(
        "train", f"top-1 {trained['top1']:.2f} %, {trained['images_per_second']:.0f} images/s", run / "curves.png"
    )

    picture = demo.folder / "confusion.png"
    measured = demo.step("evaluate", "tools/eval.py", "--checkpoint", str(run), "--picture", str(picture))
    demo.note("evaluate", f"top-1 {measured['top1']:.2f} % of {measured['images']} held-out digits", picture)

    images = _some_digits(demo.folder / "digits", count=8)
    named = demo.step("classify", "tools/infer.py", "--model", str(run), "--input", str(images), "--top", "3")
    right = sum(Path(row["file"]).stem.split("-")[-1] == row["labels"][0] for row in named["results"])
    demo.note("classify", f"{right} of {len(named['results'])} pictures right", images)

    bundle = demo.folder / "bundle"
    drawing = demo.folder / "fusion.svg"
    options = ("--checkpoint", str(run), "--output", str(bundle), "--picture", str(drawing))
    exported = demo.step("export", "tools/export.py", *options)
    demo.note("export", _parity(exported["parity"]), bundle)
    demo.note("fusion", _fusion(exported["fusion"]), drawing)

    checked = demo.step("verify", "tools/bundle.py", "verify", str(bundle))
    demo.note("verify", f"{len(checked['golden'])} runtimes repeat the golden tensors", bundle / "golden.npz")

    chart = demo.folder / "benchmark.png"
    timed = demo.step(
        "benchmark", "tools/benchmark.py", "--model", str(bundle), "--picture", str(chart), "--rounds", "5"
    )
    demo.note("benchmark", _fastest(timed["rows"]), chart)

    served = demo.step("predict", "tools/infer.py", "--model", str(bundle), "--input", str(images), "--top", "3")
    same = sum(a["labels"][0] == b["labels"][0] for a, b in zip(named["results"], served["results"], strict=True))
    demo.note("predict", f"{same} of {len(named['results'])} answers of the checkpoint repeated", bundle)

    demo.board(bundle)
    demo.show()
    print(f"{time.monotonic() - started:.0f} s after set-up; every step's JSON is in {demo.folder}")
    if measured["top1"] < LEAST_TOP1:
        raise CheckFailedError(f"expected at least {LEAST_TOP1} % top-1, found {measured['top1']:.2f} %")
    return {"top1": measured["top1"], "rows": demo.rows}


def _parity(rows: list[dict[str, Any]]) -> str:
    worst = {row["format"]: 0.0 for row in rows}
    for row in rows:
        worst[row["format"]] = max(worst[row["format"]], row["rel_diff"])
    return "differs by at most " + ", ".join(f"{name} {value:.0e}" for name, value in worst.items())


def _fusion(rows: list[dict[str, Any]]) -> str:
    shown = [row for row in rows if row["backend"] != "native"]  # whose kernels take in BatchNorm and nothing else
    fused = (f"{row['backend']} {row['format']} {row['fused']}/{row['sites']} ({row['basis']})" for row in shown)
    return "sites fused: " + ", ".join(fused)


def _fastest(rows: list[dict[str, Any]]) -> str:
    good = sorted((row for row in rows if row["status"] == "ok"), key=lambda row: row["p50_ms"])
    return ", ".join(f"{row['backend']} {row['precision']} {row['p50_ms']:.2f} ms" for row in good[:3])


def _new_folder(wanted: Path | None) -> Path:
    folder = wanted or next(path for n in range(1, 10_000) if not (path := ROOT / "runs" / f"demo-{n}").exists())
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RequestError(f"--output: expected a new folder or an empty one, found {folder} in use; name another")
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def _some_digits(folder: Path, count: int) -> Path:
    """Write the first held-out digits as pictures named `number-class.png`."""
    config = load(RECIPE)
    source = open_split(config.data, "val", in_channels=1, num_classes=10)
    folder.mkdir()
    for index in range(count):
        label = source.classes[int(source.labels[index])]
        Image.fromarray(source.image(index)[:, :, 0]).save(folder / f"{index}-{label}.png")
    return folder


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = cli.parser("The whole path on real digits.")
    parser.add_argument("--output", type=Path, metavar="DIR", help="a new folder (default: the next free runs/demo-N)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(cli.run(main, parse()))
