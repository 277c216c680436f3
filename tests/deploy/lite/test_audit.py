"""The audit against counts that follow from the architecture, and against networks that Lite got wrong."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import bundles
import numpy as np
import paddle
import pytest

from deploy.lite.audit import LiteAudit, audit
from deploy.lite.conversion import Source
from deploy.lite.options import Options
from deploy.lite.program import KERNEL, LiteOp, Program, kernels_in
from deploy.lite.reader import read_program
from ppresnet.bundle import PARAMS, PDMODEL, Bundle, Site, read_bundle

Convert = Callable[[str, str], tuple[Path, Path]]


def audited(convert: Convert, bundle: Bundle, options: Options) -> LiteAudit:
    nb, folder = convert(options.target, options.precision)
    program = read_program((folder / "model").read_bytes(), "it")
    return audit(program, bundle.deploy.sites, options, kernels_in(nb.read_bytes()))


# Three basic blocks and a bottleneck, two of four skips projected: 1 + 3 * 2 + 3 + 2 convolutions, of which 1 + 3 + 2
# are followed by relu alone, and 4 residual sums.
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8-weights", "int16-weights"])
def test_on_arm_sum_and_relu_are_one_operator(convert: Convert, bundle: Bundle, precision: str) -> None:
    found = audited(convert, bundle, Options("arm", precision))
    assert found.problems == ()
    assert (found.sites, found.convs, found.with_act, found.with_residual, found.added) == (12, 12, 6, 0, 4)
    assert (found.batch_norms, found.lone_adds, found.lone_acts) == (0, 0, {})
    assert found.fused == 8
    assert all("on OpenCL only" in site.reason for site in found.unfused)
    kernel = "arm fp16" if precision == "fp16" else "arm fp32"
    assert found.kernels[kernel] >= 16


def test_on_opencl_the_sum_goes_into_1x1_convolutions(convert: Convert, bundle: Bundle) -> None:
    found = audited(convert, bundle, Options("opencl,arm"))
    assert found.problems == ()
    assert (found.convs, found.with_act, found.with_residual, found.added) == (12, 6, 1, 3)
    assert {site.reason for site in found.unfused} == {
        "addition outside the convolution: on OpenCL Lite adds inside 1 x 1 convolutions only; this filter is 3 x 3"
    }


def test_a_promise_that_no_filter_keeps_is_a_problem(convert: Convert, bundle: Bundle) -> None:
    nb, folder = convert("arm", "fp32")
    program = read_program((folder / "model").read_bytes(), "it")
    site = Site(name="extra.conv", pattern="conv+bn", act=None, parameter="no_such_filter")
    found = audit(program, [*bundle.deploy.sites, site], Options("arm"), kernels_in(nb.read_bytes()))
    assert "expected one convolution with the filter no_such_filter, found 0" in found.problems[0]


def test_a_network_before_its_conversion_has_everything_left_over(source: Source, bundle: Bundle) -> None:
    found = audit(source.read(), bundle.deploy.sites, Options("arm"), Counter())
    assert (found.fused, found.batch_norms, found.lone_adds) == (0, 12, 4)
    assert found.lone_acts == {"relu": 10}
    assert any("batch_norm" in problem for problem in found.problems)


@pytest.mark.slow
def test_filters_full_of_zeros_become_sparse(python: Path, tmp_path: Path) -> None:
    net, rng = bundles.small_net(), np.random.default_rng(0)
    for layer in net.sublayers():
        if isinstance(layer, paddle.nn.Conv2D) and layer.weight.shape[2] == 1:
            kept = rng.random(layer.weight.shape) < 0.15
            layer.weight.set_value(np.where(kept, layer.weight.numpy(), np.float32(0)))
    bundle = read_bundle(bundles.make_bundle(net, tmp_path / "bundle"))
    source = Source(python, bundle.file(PDMODEL), bundle.file(PARAMS))
    for share, sparse in ((0.6, 2), (0.99, 0)):
        options = Options("arm", sparse=share)
        nb = source.nb(options, tmp_path / "model")
        program = read_program((source.protobuf(options, tmp_path / "program") / "model").read_bytes(), "it")
        found = audit(program, bundle.deploy.sites, options, kernels_in(nb.read_bytes()))
        assert (found.ops.get("sparse_conv2d", 0), found.convs, found.fused) == (sparse, 12, 8)
        assert found.problems == () if sparse else "none became sparse" in found.problems[0]


def convolution(kernel: str, **more: object) -> LiteOp:
    inputs = {"Input": ("x",), "Filter": ("w",)}
    return LiteOp("conv2d", inputs, {"Output": ("y",)}, {KERNEL: f"conv2d/def/{kernel}/1", **more})


@pytest.mark.parametrize(
    ("op", "options", "says"),
    [
        (convolution("2/1"), Options("arm"), "operators of x86 in a network for arm"),
        (convolution("4/1"), Options("arm", "fp16"), "runs in fp32, expected fp16"),
        (convolution("4/1"), Options("arm", "int8"), "runs in fp32, expected int8"),
        (convolution("4/1"), Options("arm", "int8-weights"), "have 32 bits"),
        (convolution("4/1", quantize_weight_bits=16), Options("arm", "int8-weights"), "have 16 bits"),
        (convolution("4/1"), Options("arm", sparse=0.5), "none became sparse"),
        (
            replace(convolution("4/1"), inputs={"Input": ("x",), "Filter": ("w",), "SecondInput": ("z",)}),
            Options("arm"),
            "should add a residual",
        ),
    ],
)
def test_a_network_that_is_not_what_was_asked_is_a_problem(op: LiteOp, options: Options, says: str) -> None:
    program = Program((LiteOp("feed", {}, {"Out": ("x",)}, {KERNEL: "feed/def/1/4/2"}), op), {"w": (1, 1, 1, 1)})
    kernels = Counter((each.type, *each.kernel) for each in program.ops)
    (problem,) = audit(program, (), options, kernels).problems
    assert says in problem


def test_an_nb_with_other_kernels_than_were_audited_is_a_problem(convert: Convert, bundle: Bundle) -> None:
    program = read_program((convert("arm", "fp32")[1] / "model").read_bytes(), "it")
    kernels = kernels_in(convert("opencl,arm", "fp32")[0].read_bytes())
    found = audit(program, bundle.deploy.sites, Options("arm"), kernels)
    assert any("the .nb and the program that was audited differ" in problem for problem in found.problems)
