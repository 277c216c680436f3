"""Which quantised programs may be run as what."""

from dataclasses import replace
from pathlib import Path

import pytest

from deploy.inference import Runtime, build_config
from deploy.inference.graph import Graph, Op
from deploy.inference.quantised import expect_precision, is_quantised, problem_of
from ppresnet import paddle_api
from ppresnet.bundle import PDMODEL
from ppresnet.errors import RequestError

INT8 = Runtime("onednn", "int8", "pdmodel")
onednn = pytest.mark.skipif(not paddle_api.has_onednn(), reason="this Paddle has no oneDNN")


def pair(first: str = "x@scale", second: str = "x@scale") -> Graph:
    ops = (
        Op("feed", ("feed",), ("x",)),
        Op("dequantize_linear", ("w@scale", "w", "zero"), ("wd",)),
        Op("quantize_linear", (first, "x", "zero"), ("xq",)),
        Op("dequantize_linear", (second, "xq", "zero"), ("xd",)),
        Op("conv2d", ("wd", "xd"), ("y",), filter="wd"),
    )
    return Graph(ops, {"w": "w", "zero": "zero"})


def test_the_form_of_paddleslim_is_sound() -> None:
    assert problem_of(pair()) == ""


def test_the_form_of_paddle_quantization_is_refused() -> None:
    assert "paddle.quantization" in problem_of(pair(second="another"))


def test_quantised_weights_alone_are_refused() -> None:
    whole = pair()
    weights = replace(whole, ops=(*whole.ops[:2], replace(whole.ops[4], inputs=("wd", "x"))))
    assert "only its weights" in problem_of(weights)


def test_the_old_form_is_refused() -> None:
    old = Op("fake_quantize_dequantize_moving_average_abs_max", ("x",), ("y",))
    assert "before quantize_linear" in problem_of(Graph((old,), {}))


@onednn
def test_a_float_program_is_refused_in_int8(bundle: Path) -> None:
    assert not is_quantised(bundle / PDMODEL)
    with pytest.raises(RequestError, match="not quantised, so it would run in fp32 silently"):
        build_config(bundle, INT8)
    with pytest.raises(RequestError, match="not quantised"):
        build_config(bundle, Runtime("native", format="pdmodel", simulated=True))


@pytest.mark.parametrize("operator", [b"\x1a\x0fquantize_linear", b"\x1a\x1efake_quantize_moving_average"])
@pytest.mark.parametrize(
    "asked", [Runtime("onednn"), Runtime("native"), Runtime("onednn", "bf16"), Runtime("openvino")]
)
def test_a_quantised_program_is_refused_in_float(tmp_path: Path, operator: bytes, asked: Runtime) -> None:
    (tmp_path / PDMODEL).write_bytes(b"..." + operator + b"...")
    with pytest.raises(RequestError, match=r"is quantised: .* ask for onednn int8"):
        expect_precision(tmp_path / PDMODEL, asked)


def test_a_simulation_is_native(tmp_path: Path, bundle: Path) -> None:
    with pytest.raises(RequestError, match="simulated by native kernels in fp32 only"):
        build_config(bundle, Runtime("onednn", "int8", "pdmodel", simulated=True))
