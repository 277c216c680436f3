import json
from pathlib import Path

import bundles
import export
import numpy as np
import pytest
import tiny_network
from classifier import open_classifier
from scipy.special import expit

from deploy.inference import Predictor
from deploy.inference.audit import AuditReport, audit
from ppresnet import cli
from ppresnet.bundle import ONNX, read_bundle
from ppresnet.export import stage
from ppresnet.export.onnx import can_convert
from ppresnet.layers.sites import promised_sites
from ppresnet.models import build
from ppresnet.paddle_api import has_json
from ppresnet.spec import LCNetSpec, SeparableSpec

FORMATS = {*(("json",) if has_json() else ()), "pdmodel", *(("onnx",) if can_convert() else ())}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    tiny_network.save_tiny(folder)
    return folder


def command(run_folder: Path, output: Path, *more: object) -> int:
    arguments = ["--checkpoint", run_folder, "--output", output, "--json", output.with_suffix(".json"), *more]
    return cli.run(export.main, export.parse([str(part) for part in arguments]))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_proved_bundle(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(run_folder, tmp_path / "bundle", "--picture", tmp_path / "block.svg") == 0
    assert (tmp_path / "block.svg").read_text().count("conv2d") >= 4
    bundle = read_bundle(tmp_path / "bundle")
    result = json.loads((tmp_path / "bundle.json").read_text())
    assert result["files"] == {name: entry.model_dump() for name, entry in bundle.deploy.files.items()}
    assert {row["format"] for row in result["parity"]} == FORMATS
    assert {(row["data"], row["batch"]) for row in result["parity"]} == {
        (data, batch) for data in ("random", "real") for batch in (1, 3)
    }
    assert max(row["rel_diff"] for row in result["parity"]) <= 1e-5
    assert {row["status"] for row in result["parity"]} == {"ok"}
    assert {(row["format"], row["backend"]) for row in result["fusion"]} >= {("pdmodel", "native"), ("pdmodel", "gpu")}
    assert all(row["sites"] == 9 for row in result["fusion"])
    assert result["failures"] == []
    assert "parity" in capsys.readouterr().out
    assert not list(tmp_path.glob(".*")), "nothing is left beside the bundle"


def test_a_picture_of_a_network_without_fused_sums(tmp_path: Path) -> None:
    stages = ((SeparableSpec(kernel=3, width=8),),)
    net = build(LCNetSpec(name="small", num_classes=4, input_size=16, stem=8, stages=stages, hidden=16))
    bundles.enliven(net)
    bundles.save_programs(net, tmp_path, 16)
    export._draw(audit(tmp_path, promised_sites(net), (1, 3, 16, 16)), tmp_path / "block.svg")
    assert "stages.0.0 as exported" in (tmp_path / "block.svg").read_text()


def test_a_network_that_promises_nothing_has_no_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export._draw(AuditReport((), (), {}), tmp_path / "block.svg")
    assert "no picture" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_no_parity_no_bundle_and_the_old_one_stays(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    formats = ("--formats", "pdmodel")
    assert command(run_folder, tmp_path / "bundle", *formats) == 0
    before = contents(tmp_path / "bundle")
    assert command(run_folder, tmp_path / "bundle", *formats, "--tolerance", "1e-30") == 3
    assert "parity: pdmodel under paddle native, random batch of 1: differs by" in capsys.readouterr().err
    assert contents(tmp_path / "bundle") == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.skipif(not can_convert(), reason="paddle2onnx is not installed")
def test_what_fails_parity_is_not_left_in_the_bundle(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import onnx

    convert = stage.convert

    def wrong(directory: Path) -> str:
        made = convert(directory)
        proto = onnx.load(directory / ONNX)
        (node,) = (node for node in proto.graph.node if node.op_type == "MatMul")
        (weight,) = (one for one in proto.graph.node if one.output[0] == node.input[1] and one.op_type == "Constant")
        array = onnx.numpy_helper.to_array(weight.attribute[0].t) * 1.01
        weight.attribute[0].t.CopyFrom(onnx.numpy_helper.from_array(array.astype("float32")))
        (directory / ONNX).write_bytes(proto.SerializeToString())
        return made

    monkeypatch.setattr(stage, "convert", wrong)
    assert command(run_folder, tmp_path / "bundle") == 3
    assert "parity: onnx under onnxruntime" in capsys.readouterr().err
    bundle = read_bundle(tmp_path / "bundle")
    assert ONNX not in bundle.deploy.files
    result = json.loads((tmp_path / "bundle.json").read_text())
    assert {row["format"] for row in result["parity"] if row["status"] != "ok"} == {"onnx"}
    assert ONNX not in result["files"]


def test_without_a_data_set_random_inputs_do_and_it_is_said(run_folder: Path, tmp_path: Path) -> None:
    more = ("--formats", "pdmodel", "-o", "data.format=folder", "-o", f"data.root={tmp_path / 'none'}")
    assert command(run_folder, tmp_path / "bundle", *more) == 0
    result = json.loads((tmp_path / "bundle.json").read_text())
    assert {row["data"] for row in result["parity"]} == {"random"}
    assert any("random inputs only" in note for note in result["notes"])


@pytest.mark.parametrize(
    ("formats", "reason"), [("json", "always has pdmodel"), ("pdmodel,tflite", "unknown format 'tflite'")]
)
def test_wrong_formats(
    run_folder: Path, tmp_path: Path, formats: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(run_folder, tmp_path / "bundle", "--formats", formats) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_a_network_of_yes_or_no_for_each_class_gives_a_bundle_that_says_so(run_folder: Path, tmp_path: Path) -> None:
    assert command(run_folder, tmp_path / "bundle", "--formats", "pdmodel", "-o", "train.loss=bce") == 0
    bundle = read_bundle(tmp_path / "bundle")
    assert bundle.deploy.activation == "sigmoid"
    pixels = np.random.default_rng(0).integers(0, 256, (3, 9, 9, 1), np.uint8)
    logits = Predictor(bundle).logits(list(pixels)).astype(np.float64)
    np.testing.assert_allclose(open_classifier(bundle.path).scores(list(pixels)), expit(logits), atol=1e-6)


def test_a_folder_that_is_no_bundle_is_not_replaced(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "thesis.txt").write_text("mine")
    assert command(run_folder, tmp_path / "bundle") == 2
    assert "not written by ppresnet" in capsys.readouterr().err
    assert contents(tmp_path / "bundle") == {"thesis.txt": b"mine"}


def test_a_checkpoint_is_not_replaced_by_its_own_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step = tiny_network.save_tiny(tmp_path)
    before = contents(step)
    assert command(step, step) == 2
    assert "would replace" in capsys.readouterr().err
    assert contents(step) == before
