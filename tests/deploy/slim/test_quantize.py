"""int8 bundles from checkpoints, with the command: what is in them, what ran, what is refused."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import benchmark
import bundle as bundle_tool
import numpy as np
import pytest
from absent import need_paddleslim
from paddle import inference
from tiny_network import save_tiny, tiny_config

from deploy.inference import Predictor, Runtime, Session, build_config
from deploy.inference.program import read_graph
from deploy.lite import convert as lite
from deploy.slim import quantize as command
from deploy.slim.int8 import Int8Settings, proof, quantize
from deploy.slim.int8.layers import roundings
from deploy.slim.int8.ranges import halved, named_tensors
from deploy.slim.subset import load_subset
from ppresnet import cli
from ppresnet.bundle import ONNX, PARAMS, PDMODEL, Bundle, read_bundle
from ppresnet.errors import RequestError
from ppresnet.export.onnx import can_convert

ROOT = Path(__file__).resolve().parents[3]
slow = pytest.mark.slow
CALIBRATION = 48
CONVS = 10  # the tiny network: a stem, two basic blocks, a padded skip, a bottleneck with a projection
WITH_ONNX = can_convert()
Made = tuple[Path, dict]


def run(module: object, *arguments: object) -> int:
    return cli.run(module.main, module.parse([str(part) for part in arguments]))  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A folder with a checkpoint `run` and its int8 bundle `int8`, and what the command reported."""
    need_paddleslim("int8")
    folder = tmp_path_factory.mktemp("int8")
    save_tiny(folder / "run")
    options = ("--calibration", CALIBRATION, "--floor", 100, "--images", 60, "--json", folder / "found.json")
    assert run(command, "--checkpoint", folder / "run", "--output", folder / "int8", *options) == 0
    return folder, json.loads((folder / "found.json").read_text())


@pytest.fixture(scope="module")
def bundle(made: Made) -> Bundle:
    return read_bundle(made[0] / "int8")


@slow
def test_the_bundle_says_how_it_was_made(made: Made, bundle: Bundle) -> None:
    about = bundle.deploy.quantisation
    assert about is not None and bundle.precision == "int8" and bundle.formats == ("pdmodel",)
    images = load_subset(tiny_config(), "train", CALIBRATION).images
    assert about.calibration.sha256 == hashlib.sha256(images.tobytes()).hexdigest()
    assert (about.calibration.images, about.images, about.method) == (CALIBRATION, 60, "ptq")
    assert (ONNX in bundle.deploy.files) == WITH_ONNX
    errors = [row.error for row in about.layers]
    assert errors == sorted(errors, key=float, reverse=True)
    assert all(row.int8 and row.error is not None and 0 < row.error < 0.1 for row in about.layers)
    assert made[1]["top1_after"] == about.top1_int8
    assert "paddleslim" in bundle.deploy.producers


@slow
def test_int8_kernels_ran(made: Made, bundle: Bundle) -> None:
    (row,) = bundle.deploy.fusion
    assert (row.precision, row.backend, row.int8, row.ops["fused_conv2d"]) == ("int8", "onednn", CONVS, CONVS)
    assert made[1]["int8_convs"] == CONVS
    # What oneDNN left in memory says the same as the program that it ran.
    predictor = inference.create_predictor(build_config(bundle.path, proof.INT8, memory_optim=False))
    types: dict[str, np.dtype] = {}

    def note(op: str, name: str, tensor: object) -> None:
        if op == "fused_conv2d":
            types[name] = np.array(tensor).dtype

    predictor.register_output_hook(note)
    predictor.get_input_handle(predictor.get_input_names()[0]).copy_from_cpu(bundle.golden()[0])
    predictor.run()
    assert len(types) == CONVS
    assert {str(each) for each in types.values()} <= {"int8", "uint8"}


@slow
def test_it_answers_as_the_network_in_float(bundle: Bundle, tmp_path: Path) -> None:
    """2 % is what rounding costs; the halved ranges and oneDNN's int8 fc would cost four times as much and more."""
    assert Predictor(bundle).check_golden(0.03) < 0.03
    inputs, expected = bundle.golden()
    assert np.abs(Session(bundle.path, proof.INT8)(inputs) - expected).max() / np.abs(expected).max() > 1e-5
    assert run(bundle_tool, "verify", bundle.path, "--json", tmp_path / "v.json") == 0
    rows = json.loads((tmp_path / "v.json").read_text())["golden"]
    assert {row["format"] for row in rows} == {"pdmodel", "onnx"} - (set() if WITH_ONNX else {"onnx"})


@slow
def test_onednn_still_halves_ranges_behind_projections(bundle: Bundle, tmp_path: Path) -> None:
    """With the ranges that PaddleSlim measured, oneDNN is far from what the program says; with twice those, near."""
    graph = read_graph(bundle.file(PDMODEL))
    tensors = named_tensors(graph, bundle.file(PARAMS))
    names = halved(graph)
    assert len(names) == 2
    data = bundle.file(PARAMS).read_bytes()
    for name in names:
        assert data.count(tensors[name].tobytes()) == 1
        data = data.replace(tensors[name].tobytes(), np.float32(tensors[name] / 2).tobytes())
    (tmp_path / PARAMS).write_bytes(data)
    (tmp_path / PDMODEL).write_bytes(bundle.file(PDMODEL).read_bytes())
    images = load_subset(tiny_config(), "train", CALIBRATION).images
    far = []
    for folder in (bundle.path, tmp_path):
        said = Session(folder, Runtime("native", format="pdmodel", simulated=True))(images)
        far.append(np.abs(Session(folder, proof.INT8)(images) - said).max() / np.abs(said).max())
    assert far[0] < 0.04 < 0.1 < far[1]


@slow
@pytest.mark.parametrize("asked", [Runtime("onednn", format="pdmodel"), Runtime("native"), Runtime("onednn", "bf16")])
def test_it_is_refused_in_float(bundle: Bundle, asked: Runtime) -> None:
    with pytest.raises(RequestError, match="is quantised"):
        build_config(bundle.path, asked)


@slow
def test_benchmark_has_int8_rows(made: Made, tmp_path: Path) -> None:
    options = ("--rounds", 1, "--threads", 1, "--json", tmp_path / "rows.json")
    assert run(benchmark, "--model", made[0] / "int8", *options) == 0
    found = json.loads((tmp_path / "rows.json").read_text())
    rows = {(row["backend"], row["precision"]): row for row in found["rows"]}
    assert list(rows) == [("paddle onednn (pdmodel)", "int8"), ("onnxruntime", "int8")]
    assert rows["paddle onednn (pdmodel)", "int8"]["status"] == "ok"
    assert rows["paddle onednn (pdmodel)", "int8"]["rel_diff"] < 0.03
    assert found["int8"] is None, "nothing was timed that int8 could be held against"


@slow
def test_it_converts_for_lite_with_every_convolution(bundle: Bundle, tmp_path: Path) -> None:
    options = ("--target", "arm", "--precision", "int8", "--output", tmp_path / "board", "--json", tmp_path / "l.json")
    assert run(lite, "--model", bundle.path, *options) == 0
    found = json.loads((tmp_path / "l.json").read_text())
    assert found["fusion"]["convs"] == found["fusion"]["int8_convs"] == CONVS
    assert run(lite, "--model", bundle.path, "--target", "x86", "--precision", "int8", "--output", tmp_path / "x") == 2


@slow
def test_layers_stay_in_float_where_the_floor_needs_it(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tries = []

    def strict(before: proof.Answers, after: proof.Answers, floor: float, rows: object) -> str:
        tries.append(after)
        return "too far" if len(tries) < 3 else ""

    monkeypatch.setattr(proof, "shortfall", strict)
    settings = Int8Settings(calibration=16, images=20, onnx=False)
    found = quantize(made[0] / "run", tmp_path / "int8", settings)
    kept = [row for row in found.quantisation.layers if not row.int8]
    assert kept == list(found.quantisation.layers[:2])
    assert all("floor" in row.reason for row in kept)
    held = {row.parameter for row in kept}
    assert not held & roundings(tmp_path / "int8").keys()
    assert found.fusion.int8 == CONVS - len(held) == found.fusion.ops["fused_conv2d"] - len(held)
    options = ("--target", "arm", "--precision", "int8", "--output", tmp_path / "board")
    assert run(lite, "--model", tmp_path / "int8", *options) == 2
    assert f"{len(held)} of {CONVS} convolutions of this program stayed in float" in capsys.readouterr().err


@slow
def test_a_floor_that_does_not_hold_ends_with_3(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(proof.LIMITS, "real", 1e-9)
    options = ("--calibration", 8, "--images", 20, "--most-float", 0.1, "--floor", 100)
    assert run(command, "--checkpoint", made[0] / "run", "--output", tmp_path / "int8", *options) == 3
    assert "cannot be held with at most 1 layers in float" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@slow
def test_sigterm_leaves_nothing_behind(made: Made, tmp_path: Path) -> None:
    temporary, bundles = tmp_path / "temporary", tmp_path / "bundles"
    temporary.mkdir()
    words = ("--checkpoint", made[0] / "run", "--output", bundles / "int8", "--calibration", "8", "--images", "20")
    environment = {**os.environ, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1", "MKL_DEBUG_CPU_TYPE": "5"}
    command = [sys.executable, "-m", "deploy.slim.quantize", *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        assert process.stderr is not None
        assert any(line.startswith("in float: top-1") for line in process.stderr)
        assert list(temporary.iterdir()) and list(bundles.iterdir())
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors.splitlines()[-1]) == (1, "error: interrupted")
    assert not list(temporary.iterdir()) and not list(bundles.iterdir())


@slow
def test_training_with_rounded_values_changes_the_weights(made: Made, tmp_path: Path) -> None:
    settings = Int8Settings(method="qat", calibration=16, images=454, epochs=2, lr=0.05, floor=100, onnx=False)
    found = quantize(made[0] / "run", tmp_path / "int8", settings)
    about = found.quantisation
    assert about.top1_int8 > about.top1_float + 10, "an untrained network learns in two epochs"
    assert Predictor(tmp_path / "int8").check_golden() < 0.2


@slow
def test_paddle_quantization_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    """Its programs crash oneDNN's int8 or answer wrongly; made in a process of its own, for the old form."""
    script = """
import sys, paddle
from paddle.quantization import PTQ, QuantConfig
from paddle.quantization.observers import AbsmaxObserver
net = paddle.nn.Sequential(paddle.nn.Conv2D(1, 4, 3), paddle.nn.ReLU(), paddle.nn.Conv2D(4, 4, 3))
net.eval()
ptq = PTQ(QuantConfig(activation=AbsmaxObserver(quant_bits=8), weight=AbsmaxObserver(quant_bits=8)))
net = ptq.quantize(net)
net(paddle.randn([2, 1, 8, 8]))
shape = paddle.static.InputSpec([-1, 1, 8, 8], "float32", "image")
paddle.jit.save(ptq.convert(net), sys.argv[1], input_spec=[shape])
"""
    environment = {"FLAGS_enable_pir_api": "0", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "inference")], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr[-1000:]
    with pytest.raises(RequestError, match=r"paddle\.quantization"):
        build_config(tmp_path, proof.INT8)


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--calibration", 0, "--calibration: Input should be greater than or equal to 1, found 0"),
        ("--floor", -1, "--floor: Input should be greater than or equal to 0"),
        ("--most-float", 1, "--most-float: Input should be less than 1"),
        ("--lr", 0, "--lr: Input should be greater than 0"),
        ("--images", 0, "--images: Input should be greater than or equal to 1"),
    ],
)
def test_wrong_settings_are_refused(
    tmp_path: Path, option: str, value: object, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command, "--checkpoint", tmp_path, "--output", tmp_path / "int8", option, value) == 2
    assert reason in capsys.readouterr().err


def test_several_labels_an_image_are_refused() -> None:
    config = tiny_config()
    several = config.model_copy(update={"data": config.data.model_copy(update={"multi_label": True})})
    with pytest.raises(
        RequestError, match=r"expected one label.*found data\.multi_label: true.*use the bundle in float"
    ):
        proof.Examination(several, None)


def test_shortfall_is_in_points_of_top1() -> None:
    before, after = (proof.Answers(np.zeros(8, np.int64), top1) for top1 in (90.0, 89.5))
    assert proof.shortfall(before, after, 0.5, ()) == ""
    assert "fell by 0.50 points" in proof.shortfall(before, after, 0.4, ())
