"""Full int8: a program that PaddleSlim's quant_post_static quantised, converted for ARM."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from absent import need_paddleslim

from deploy.lite import convert
from deploy.lite.conversion import Source, is_quantised
from deploy.lite.options import Options
from deploy.lite.process import ask
from deploy.lite.reader import read_program
from ppresnet import cli
from ppresnet.bundle import Bundle

# In a process of its own: PaddleSlim 2.6 works with the old IR only, which is chosen before the import.
QUANTISE = """
import os, sys
os.environ["FLAGS_enable_pir_api"] = "0"
import numpy as np, paddle
source, target, images = sys.argv[1:]
images = np.load(images)
class Images(paddle.io.Dataset):
    def __len__(self): return len(images)
    def __getitem__(self, index): return images[index]
paddle.enable_static()
from paddleslim.quant import quant_post_static
executor, place = paddle.static.Executor(paddle.CPUPlace()), paddle.CPUPlace()
files = {"model_filename": "inference.pdmodel", "params_filename": "inference.pdiparams"}
program, feeds, _ = paddle.static.load_inference_model(source, executor, **files)
feed = [program.global_block().var(feeds[0])]
loader = paddle.io.DataLoader(Images(), feed_list=feed, places=place, batch_size=8, return_list=False)
quant_post_static(executor, source, target, data_loader=loader, batch_nums=4, onnx_format=True, algo="avg", **files)
"""


@pytest.fixture(scope="module")
def quantised(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_paddleslim("full int8")
    folder = tmp_path_factory.mktemp("int8")
    np.save(folder / "images.npy", np.random.default_rng(6).standard_normal((32, 3, 16, 16), np.float32))
    command = [sys.executable, "-c", QUANTISE, str(bundle.path), str(folder / "slim"), str(folder / "images.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "slim" / "model.pdmodel"


@pytest.mark.slow
def test_every_convolution_becomes_int8(python: Path, bundle: Bundle, quantised: Path, tmp_path: Path) -> None:
    assert is_quantised(read_program(quantised.read_bytes(), "it"))
    arguments = ["--model", str(bundle.path), "--program", str(quantised), "--target", "arm", "--precision", "int8"]
    arguments += ["--sizes", "--output", str(tmp_path / "board"), "--json", str(tmp_path / "found.json")]
    assert cli.run(convert.main, convert.parse(arguments)) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["fusion"]["convs"] == found["fusion"]["int8_convs"] == 12
    assert found["fusion"]["batch_norms"] == 0
    assert found["executed"] == "converted, audited, not executed"
    rows = {row["precision"]: row for row in found["parity"]}
    assert rows["fp32"]["rel_diff"] < 1e-5
    assert 1e-4 < rows["int8"]["rel_diff"] < 0.2
    sizes = {row["option"]: row["size_bytes"] for row in found["sizes"]}
    assert sizes["arm int8"] < sizes["arm fp32"]


@pytest.mark.slow
def test_a_quantised_program_is_refused_as_anything_else(bundle: Bundle, quantised: Path, tmp_path: Path) -> None:
    for target, precision in (("arm", "fp32"), ("arm", "int8-weights"), ("x86", "int8")):
        arguments = ["--model", str(bundle.path), "--program", str(quantised), "--target", target]
        arguments += ["--precision", precision, "--output", str(tmp_path / "board")]
        assert cli.run(convert.main, convert.parse(arguments)) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_int8_still_gives_nan_on_x86(python: Path, bundle: Bundle, quantised: Path, tmp_path: Path) -> None:
    source = Source(python, quantised, quantised.with_suffix(".pdiparams"))
    nb = source.nb(Options("x86", "int8"), tmp_path / "model")
    np.save(tmp_path / "inputs.npy", bundle.golden()[0])
    request = {"do": "run", "nb": str(nb), "inputs": str(tmp_path / "inputs.npy"), "batch": 4}
    ask(python, {**request, "outputs": str(tmp_path / "outputs.npy")}, 120)
    found = np.load(tmp_path / "outputs.npy")
    close = np.isfinite(found).all() and np.abs(found - bundle.golden()[1]).max() < np.abs(bundle.golden()[1]).max()
    assert not close, "Lite's int8 kernels for x86 are right now: prove int8 with them"
