"""Which runtimes are refused and why, and what the others compute."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import bundles
import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from deploy.inference import Runtime, Session, build_config, config, runtime
from deploy.inference.audit import observe
from deploy.inference.runtime import refuse, resolve_format
from ppresnet import paddle_api
from ppresnet.errors import RequestError

new_ir = pytest.mark.skipif(not paddle_api.has_json(), reason="this Paddle has no .json programs")
onednn = pytest.mark.skipif(not paddle_api.has_onednn(), reason="this Paddle has no oneDNN")
cpu_build = pytest.mark.skipif(paddle.is_compiled_with_cuda(), reason="this Paddle has CUDA")


@new_ir
@pytest.mark.parametrize(
    ("asked", "format", "reason"),
    [
        (Runtime("onednn", "int8"), "json", "int8 passes read .pdmodel only"),
        (Runtime("openvino"), "json", "OpenVINO engine reads .pdmodel only"),
        (Runtime("tensorrt"), "json", "needs paddle.tensorrt.convert first"),
        (Runtime("native", from_memory=True), "json", "as bytes crashes"),
        (Runtime("native", "bf16"), "pdmodel", "native computes in fp32; 'bf16' would change nothing"),
        (Runtime("native", "int8"), "pdmodel", "'int8' would change nothing"),
        (Runtime("onednn", "fp16"), "pdmodel", "onednn computes in fp32 or bf16 or int8"),
        (Runtime("gpu", "bf16"), "pdmodel", "gpu computes in fp32 or fp16"),
        (Runtime("native", threads=0), "json", "threads must be at least 1, found 0"),
        (Runtime("cuda"), "json", "unknown backend 'cuda'; expected one of native, onednn"),  # type: ignore[arg-type]
        (Runtime("native", "fp64"), "json", "'fp64' would change nothing"),  # type: ignore[arg-type]
    ],
)
def test_what_does_nothing_or_is_wrong_is_refused(asked: Runtime, format: Any, reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        refuse(asked, format)


@cpu_build
@pytest.mark.parametrize("backend", ["gpu", "tensorrt"])
def test_a_gpu_is_refused_on_a_cpu_build(bundle: Path, backend: Any) -> None:
    with pytest.raises(RequestError, match="is a CPU build; install paddlepaddle-gpu"):
        build_config(bundle, Runtime(backend, format="pdmodel"))


def test_openvino_runs_or_is_refused(bundle: Path, net: nn.Layer) -> None:
    asked = Runtime("openvino", threads=1)
    if not hasattr(paddle.inference.Config, "enable_openvino_engine"):
        with pytest.raises(RequestError, match="built without OpenVINO"):
            build_config(bundle, asked)
        return
    images = bundles.random_images(3)
    expected = bundles.logits_of(net, images)
    assert np.abs(Session(bundle, asked)(images) - expected).max() / np.abs(expected).max() < 1e-5
    assert observe(bundle, replace(asked, format="pdmodel"), images.shape)[1] == {"openvino_engine": 1}


def test_json_is_refused_where_paddle_cannot_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paddle_api, "has_json", lambda: False)
    with pytest.raises(RequestError, match=r"crashes on a \.json program; use pdmodel"):
        refuse(Runtime("native"), "json")


@pytest.mark.parametrize("asked", [Runtime("onednn", "int8"), Runtime("native", from_memory=True), Runtime("tensorrt")])
def test_auto_takes_pdmodel_where_json_would_be_refused(bundle: Path, asked: Runtime) -> None:
    assert resolve_format(bundle, asked) == "pdmodel"


@new_ir
def test_auto_takes_json_where_it_is_there(bundle: Path, net: nn.Layer, tmp_path: Path) -> None:
    assert resolve_format(bundle, Runtime()) == "json"
    old = bundles.save_programs(net, tmp_path / "old", formats=("pdmodel",))
    assert resolve_format(old, Runtime()) == "pdmodel"
    with pytest.raises(RequestError, match=r"has no inference\.json"):
        resolve_format(old, Runtime(format="json"))


RUNTIMES = [Runtime("native", format=name) for name in bundles.FORMATS]
RUNTIMES += [Runtime("onednn", format=name) for name in bundles.FORMATS]
RUNTIMES += [Runtime("native", format="pdmodel", from_memory=True), Runtime("native", threads=2)]


@onednn
@pytest.mark.parametrize("asked", RUNTIMES, ids=str)
@pytest.mark.parametrize("batch", [1, 3])
def test_fp32_is_the_network(bundle: Path, net: nn.Layer, asked: Runtime, batch: int) -> None:
    images = bundles.random_images(batch)
    expected = bundles.logits_of(net, images)
    assert np.abs(Session(bundle, asked)(images) - expected).max() / np.abs(expected).max() < 1e-5


@onednn
@pytest.mark.parametrize("format", bundles.FORMATS)
def test_bf16_is_near_the_network_and_not_fp32(bundle: Path, net: nn.Layer, format: Any) -> None:
    images = bundles.random_images(8)
    expected = bundles.logits_of(net, images)
    difference = (
        np.abs(Session(bundle, Runtime("onednn", "bf16", format))(images) - expected).max() / np.abs(expected).max()
    )
    if "avx512" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        pytest.skip("this CPU has no AVX-512, without which oneDNN computes in fp32")
    assert 1e-5 < difference < 5e-2


class Padded(nn.Layer):
    """Channels padded by the operator `pad`, which a list of all axes gives."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2D(3, 4, 3)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Return float32 [batch, 8]."""
        return F.pad(self.conv(x), [0, 0, 2, 2, 0, 0, 0, 0]).mean([2, 3])


@onednn
@pytest.mark.parametrize("format", bundles.FORMATS)
def test_the_operator_that_corrupts_memory_is_refused_on_onednn_only(tmp_path: Path, format: Any) -> None:
    net = Padded()
    net.eval()
    bundles.save_programs(net, tmp_path)
    with pytest.raises(RequestError, match="'pad' corrupts memory"):
        build_config(tmp_path, Runtime("onednn", format=format))
    images = bundles.random_images(2)
    found = Session(tmp_path, Runtime("native", format=format))(images)
    np.testing.assert_allclose(found, bundles.logits_of(net, images), rtol=1e-4, atol=1e-5)


@new_ir
@pytest.mark.slow
def test_leaky_relu_still_crashes_the_pass_that_is_switched_off(tmp_path: Path) -> None:
    """When this fails, Paddle was mended: delete CRASHING from the config builder."""
    bundles.save_programs(bundles.small_net(act="leaky_relu"), tmp_path, formats=("json",))
    program = (
        "import sys, paddle\n"
        "from deploy.inference import Runtime, config\n"
        "from paddle import inference\n"
        "from pathlib import Path\n"
        "config.CRASHING = ()\n"
        "made = config.build_config(Path(sys.argv[1]), Runtime('onednn', format='json'))\n"
        "paddle.disable_signal_handler()\n"
        "inference.create_predictor(made)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, check=False, timeout=120)
    assert done.returncode < 0, done.stderr.decode()[-500:]


class Recorder:
    """Takes any call a config takes, and remembers it."""

    def __init__(self) -> None:
        self.calls: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self.calls.update({name: (args, kwargs)})


@pytest.mark.parametrize("backend", ["gpu", "tensorrt"])
def test_gpu_configs_follow_the_documentation(bundle: Path, monkeypatch: pytest.MonkeyPatch, backend: Any) -> None:
    recorder = Recorder()
    monkeypatch.setattr(paddle, "is_compiled_with_cuda", lambda: True)
    monkeypatch.setattr(config, "_model", lambda *_: recorder)
    asked = Runtime(backend, "fp16", "pdmodel", max_batch=4)
    build_config(bundle, asked)
    half = paddle.inference.PrecisionType.Half
    if backend == "gpu":
        assert recorder.calls["enable_use_gpu"] == ((256, 0, half), {})
        assert "enable_tensorrt_engine" not in recorder.calls
    else:
        assert recorder.calls["enable_tensorrt_engine"][1]["precision_mode"] == half
        assert recorder.calls["enable_tensorrt_engine"][1]["max_batch_size"] == 4
    assert not recorder.calls.keys() & {"disable_gpu", "enable_onednn", "enable_mkldnn"}
    assert not asked.proved


@cpu_build
@onednn
def test_the_backend_of_a_cpu_build_is_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert runtime.auto_backend() == "onednn"
    monkeypatch.setattr(paddle_api, "has_onednn", lambda: False)
    assert runtime.auto_backend() == "native"
    with pytest.raises(RequestError, match="built without oneDNN; use native"):
        refuse(Runtime("onednn"), "pdmodel")
