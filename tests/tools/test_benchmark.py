import dataclasses
import json
import shutil
from pathlib import Path

import benchmark
import bundle as bundle_tool
import export
import numpy as np
import pytest
import tiny_network
from benchmark_rows import Rival, entries
from benchmark_show import int8_worth
from contender import Entry
from evaluation import evaluation_images
from PIL import Image
from runtimes import installed

from ppresnet import cli
from ppresnet.bundle import DEPLOY, MANIFEST, ONNX, Bundle, read_bundle
from ppresnet.errors import CheckFailedError, DataError, RequestError
from ppresnet.files import write_manifest
from ppresnet.paddle_api import has_json

KEYS = {"backend", "precision", "batch", "threads", "status", "p50_ms", "p95_ms", "images_per_second", "rel_diff"}
KEYS |= {"top1_agreement", "top1", "size_mb"}


def run(module: object, *arguments: object) -> int:
    return cli.run(module.main, module.parse([str(part) for part in arguments]))  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bundles, `a` and `b`, of different weights; `a` has been timed and recorded."""
    folder = tmp_path_factory.mktemp("bundles")
    for seed, name in enumerate("ab"):
        tiny_network.save_tiny(folder / f"run-{name}", seed)
        assert run(export, "--checkpoint", folder / f"run-{name}", "--output", folder / name) == 0
    options = ("--rounds", 2, "--data", "--images", 40, "--record", "--threads", 1, "--batch", 2)
    files = ("--json", folder / "rows.json", "--picture", folder / "rows.png")
    assert run(benchmark, "--model", folder / "a", *options, *files) == 0
    return folder


def test_a_row_for_every_backend(made: Path) -> None:
    result = json.loads((made / "rows.json").read_text())
    rows = {(row["backend"], row["precision"]): row for row in result["rows"]}
    bundle = read_bundle(made / "a")
    for format in bundle.formats:
        for backend, precision in (("native", "fp32"), ("onednn", "fp32"), ("onednn", "bf16")):
            assert (f"paddle {backend} ({format})", precision) in rows
    assert ("onnxruntime", "fp32") in rows
    assert (("openvino", "bf16") in rows) == installed("openvino")
    for (_, precision), row in rows.items():
        assert row.keys() == KEYS
        assert (row["batch"], row["threads"]) == (2, 1)
        if row["status"] == "ok":
            assert 0 < row["p50_ms"] <= row["p95_ms"]
            assert row["images_per_second"] == pytest.approx(2e3 / row["p50_ms"])
            assert row["rel_diff"] <= {"fp32": 1e-5, "bf16": 5e-2}[precision]
    assert rows["paddle native (pdmodel)", "fp32"]["status"] == "ok"
    assert rows["paddle native (pdmodel)", "fp32"]["top1_agreement"] == 100.0
    assert 0 <= rows["paddle native (pdmodel)", "fp32"]["top1"] <= 100


def test_picture_and_record(made: Path) -> None:
    with Image.open(made / "rows.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 400
    recorded = {(row.backend, row.precision): row.p50_ms for row in read_bundle(made / "a").deploy.latency}
    rows = json.loads((made / "rows.json").read_text())["rows"]
    assert recorded == {(row["backend"], row["precision"]): row["p50_ms"] for row in rows}


def test_a_failure_is_a_row_with_its_reason(made: Path) -> None:
    bundle = read_bundle(made / "b")
    rival = Rival(bundle, Entry("paddle native", "bf16", "pdmodel", 1))
    try:
        rival.attempt(lambda it: benchmark.fidelity(it, 1))
    finally:
        rival.end()
    row = rival.row(1)
    assert "bf16" in row["status"]
    assert (row["p50_ms"], row["rel_diff"]) == (None, None)


def test_failed_rivals_are_left_alone(made: Path) -> None:
    rival = Rival(read_bundle(made / "a"), Entry("x"))
    calls = []

    def work(one: Rival) -> None:
        calls.append(one)
        raise CheckFailedError("first")

    rival.attempt(work)
    rival.attempt(work)
    assert (len(calls), rival.status) == (1, "first")


def test_entries_begin_with_the_reference(made: Path) -> None:
    found = entries(read_bundle(made / "a"), threads=2, batch=4)
    assert (found[0].backend, found[0].precision, found[0].format) == ("paddle native", "fp32", "pdmodel")
    assert {entry.threads for entry in found} == {2}


@pytest.mark.parametrize("option", ["--batch", "--threads", "--rounds"])
def test_zero_is_refused(made: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(benchmark, "--model", made / "a", option, 0) == 2
    assert f"{option}: expected a number from 1 on" in capsys.readouterr().err


def test_any_name_of_the_data_is_taken_as_it_is(made: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'set #2' does not exist"):
        evaluation_images(_of_a_folder(read_bundle(made / "a")), "set #2", 4)


def _of_a_folder(bundle: Bundle) -> Bundle:
    config = {**bundle.deploy.config, "data": {**bundle.deploy.config["data"], "format": "folder"}}
    return dataclasses.replace(bundle, deploy=bundle.deploy.model_copy(update={"config": config}))


def test_inspect_and_verify(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(bundle_tool, "inspect", made / "a", "--json", tmp_path / "i.json") == 0
    assert "12.50 %" in capsys.readouterr().out
    assert json.loads((tmp_path / "i.json").read_text())["name"] == "tiny"
    assert json.loads((tmp_path / "i.json").read_text())["activation"] == "softmax"
    assert run(bundle_tool, "verify", made / "a", "--json", tmp_path / "v.json") == 0
    verified = json.loads((tmp_path / "v.json").read_text())
    formats = set(read_bundle(made / "a").formats) | (
        {"onnx"} & {Path(ONNX).suffix[1:]} if ONNX in verified["files"] else set()
    )
    assert {row["format"] for row in verified["golden"]} == formats
    assert all(row["status"] == "ok" for row in verified["golden"])


def test_diff_names_what_changed(made: Path, tmp_path: Path) -> None:
    assert run(bundle_tool, "diff", made / "a", made / "b", "--json", tmp_path / "d.json") == 0
    found = json.loads((tmp_path / "d.json").read_text())
    assert not found["same"]
    assert [found[key] for key in ("spec", "preprocess", "activation", "labels", "accuracy")] == [[]] * 5
    assert {"path": "inference.pdiparams.sha256", "before": None, "after": None}.keys() == found["files"][0].keys()
    assert "inference.pdiparams.sha256" in {one["path"] for one in found["files"]}
    assert all(one["after"] is None for one in found["latency"])
    assert found["latency"]

    weights = {row["tensor"]: row["rel_diff"] for row in found["weights"]}
    old, new = (tiny_network.tiny_checkpoint(seed).weights["stem.conv.weight"] for seed in (0, 1))
    expected = np.abs(old - new).max() / np.abs(old).max()
    # Without a .json, as under Paddle 2.6, tensors have no names, only positions.
    assert any(
        value == pytest.approx(expected, rel=1e-5)
        for name, value in weights.items()
        if value is not None and name.startswith("stem.conv" if has_json() else "tensor_")
    )
    assert run(bundle_tool, "diff", made / "a", made / "a", "--json", tmp_path / "s.json") == 0
    assert json.loads((tmp_path / "s.json").read_text())["same"]


def test_diff_wants_two_and_inspect_one(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(bundle_tool, "diff", made / "a") == 2
    assert run(bundle_tool, "inspect", made / "a", made / "b") == 2
    assert "takes one bundle" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ({"bf16": 10.0, "int8": 5.0, "fp32": 2.0}, "bf16 takes 10.00 ms, int8 5.00 ms, 2.00 times as fast"),
        ({"bf16": 4.0, "int8": 5.0}, "0.80 times as fast: not worth it here"),
        ({"fp32": 8.0, "int8": 5.0}, "fp32 takes 8.00 ms, int8 5.00 ms, 1.60 times as fast"),
        ({"int8": 5.0}, ""),
        ({"bf16": 5.0}, ""),
    ],
)
def test_int8_is_held_against_what_it_replaces(times: dict[str, float], said: str) -> None:
    def row(backend: str, precision: str, p50_ms: float | None, status: str = "ok") -> dict[str, object]:
        return {"backend": backend, "precision": precision, "p50_ms": p50_ms, "status": status}

    rows = [row("paddle onednn (pdmodel)", precision, p50_ms) for precision, p50_ms in times.items()]
    others = [row("onnxruntime", "int8", 0.1), row("paddle onednn (json)", "bf16", None, "failed")]
    found = int8_worth([*rows, *others])
    assert found.endswith(said) and bool(found) == bool(said)


def test_another_bundle_is_timed_along(made: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(made / "b", tmp_path / "b"))
    options = ("--rounds", 1, "--threads", 1, "--record", "--json", tmp_path / "rows.json")
    assert run(benchmark, "--model", own, "--against", made / "a", *options) == 0
    found = json.loads((tmp_path / "rows.json").read_text())
    one = len(entries(read_bundle(made / "a"), threads=1, batch=1))
    assert len(found["rows"]) == 2 * one
    assert found["against"] == str(made / "a")
    recorded = [(row.backend, row.precision, row.p50_ms) for row in read_bundle(own).deploy.latency]
    assert recorded == [(row["backend"], row["precision"], row["p50_ms"]) for row in found["rows"][one:]]


def test_a_bundle_of_other_data_is_not_timed_along(made: Path) -> None:
    bundle = read_bundle(made / "a")
    other = Bundle(bundle.path, bundle.deploy, ("another", *bundle.labels[1:]))
    with pytest.raises(RequestError, match=r"--against: .* has other inputs or labels"):
        benchmark._other(other, made / "b")


def test_inspect_and_diff_show_what_makes_the_scores(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several = Path(shutil.copytree(made / "a", tmp_path / "several"))
    deploy = read_bundle(several).deploy.model_copy(update={"activation": "sigmoid"})
    (several / DEPLOY).write_text(deploy.dump())
    (several / MANIFEST).unlink()
    write_manifest(several)
    assert run(bundle_tool, "inspect", several) == 0
    assert "sigmoid" in capsys.readouterr().out
    assert run(bundle_tool, "diff", made / "a", several, "--json", tmp_path / "d.json") == 0
    found = json.loads((tmp_path / "d.json").read_text())
    assert found["activation"] == [{"path": "activation", "before": "softmax", "after": "sigmoid"}]
    assert (found["same"], [key for key, changes in found.items() if changes]) == (False, ["activation"])
