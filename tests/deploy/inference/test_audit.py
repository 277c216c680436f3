"""The audit against counts that follow from the architecture."""

import io
import re
from collections import Counter
from pathlib import Path

import bundles
import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from narrow import narrow
from paddle import nn
from rich.console import Console

from deploy.inference import audit as audit_module
from deploy.inference.audit import AuditReport, audit
from deploy.inference.graph import Graph, Op, op_name
from deploy.inference.judge import judge
from deploy.inference.program import read_graph
from deploy.inference.render import block_svg, operators
from ppresnet import paddle_api
from ppresnet.bundle import FusionRow, Site, read_bundle
from ppresnet.errors import CheckFailedError
from ppresnet.layers import ACTIVATIONS, Residual, ZeroPadSkip
from ppresnet.layers.sites import promised_sites
from ppresnet.models import build, create
from ppresnet.spec import spec_of

pytestmark = pytest.mark.skipif(not paddle_api.has_onednn(), reason="this Paddle has no oneDNN")
new_ir = pytest.mark.skipif(not paddle_api.has_json(), reason="this Paddle has no .json programs")


def audited(net: nn.Layer, directory: Path, size: int = bundles.SIZE) -> AuditReport:
    return audit(bundles.save_programs(net, directory, size), promised_sites(net), (1, 3, size, size))


@pytest.fixture(scope="module")
def report(bundle: Path) -> AuditReport:
    """12 convolutions: the stem, 4 inside branches and 1 in the bottleneck's with relu, 4 sums, 2 projections."""
    return audit(bundle, read_bundle(bundle).deploy.sites, (1, 3, bundles.SIZE, bundles.SIZE))


@pytest.mark.parametrize("format", bundles.FORMATS)
def test_onednn_fuses_every_site_of_projection_blocks(report: AuditReport, format: str) -> None:
    row = report.row("onednn", format)
    assert (row.sites, row.fused, row.with_act, row.with_residual, row.unfused) == (12, 12, 6, 4, ())
    assert row.ops["fused_conv2d"] == 12
    assert not row.ops.keys() & {"conv2d", "batch_norm", "add", "relu"}
    assert row.basis == "measured"


@pytest.mark.parametrize("format", bundles.FORMATS)
def test_the_native_cpu_folds_batch_norm_and_says_what_it_leaves(report: AuditReport, format: str) -> None:
    row = report.row("native", format)
    assert (row.ops["conv2d"], row.ops["add"], row.ops["relu"], row.fused) == (12, 12 + 4, 10, 0)
    assert "batch_norm" not in row.ops
    assert Counter(site.reason.split(":")[0] for site in row.unfused) == {
        "bias and relu run by themselves": 6,
        "bias, addition and relu run by themselves": 4,
        "bias runs by itself": 2,
    }
    assert all(site.explained for site in row.unfused)


@new_ir
def test_it_is_our_pass_that_folds_batch_norm_in_json(
    bundle: Path, report: AuditReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.inference.config.NATIVE_PASSES", ())
    alone = audit(bundle, report.sites, (1, 3, bundles.SIZE, bundles.SIZE))
    assert alone.row("native", "json").ops["batch_norm"] == 12
    assert not alone.complete or "batch_norm" in alone.row("native", "json").unfused[0].reason


@pytest.mark.parametrize("name", ["seresnet18", "resnetv2_50", "cifar_preact_resnet110"])
def test_gated_and_preactivated_branches_promise_what_onednn_and_the_gpu_fuse(name: str, tmp_path: Path) -> None:
    net = build(narrow(name))
    bundles.enliven(net)
    report = audited(net, tmp_path, 32)
    assert report.complete
    assert {row.backend: row.unfused for row in report.rows if row.backend != "native"} == {"onednn": (), "gpu": ()}


def test_the_gpu_row_is_a_prediction(report: AuditReport) -> None:
    row = report.row("gpu", "pdmodel")
    assert (row.basis, row.fused, row.ops["fused_conv2d_add_act"]) == ("predicted", 12, 12)
    assert not row.ops.keys() & {"conv2d", "batch_norm", "add", "relu"}


def test_rows_come_for_every_format_and_backend(report: AuditReport) -> None:
    expected = [(name, backend) for name in bundles.FORMATS for backend in ("native", "onednn")] + [("pdmodel", "gpu")]
    assert [(row.format, row.backend) for row in report.rows] == expected
    assert report.complete


class OutFirst(Residual):
    """The sum written the other way round."""

    def forward(self, x_NCHW: paddle.Tensor) -> paddle.Tensor:
        """Return the same values as a Residual."""
        return self.act(self.branch(x_NCHW) + self.skip(x_NCHW))


def turn_sums_round(net: nn.Layer) -> nn.Layer:
    for layer in net.sublayers():
        if isinstance(layer, Residual):
            layer.__class__ = OutFirst
    return net


def assert_out_first_is_caught(row: FusionRow, identity_blocks: int) -> None:
    assert (row.ops["add"], row.ops["relu"], row.sites - row.fused) == (identity_blocks,) * 3
    assert {site.reason for site in row.unfused} == {
        "addition and relu run by themselves: the GPU passes want the convolution as the second input; "
        "write `identity + out`"
    }
    assert all(re.fullmatch(r"stages\.\d\.\d\.branch\.\d\.conv", site.site) for site in row.unfused)


def test_a_sum_written_out_first_is_caught(tmp_path: Path) -> None:
    found = audited(turn_sums_round(bundles.small_net()), tmp_path)
    assert_out_first_is_caught(found.row("gpu", "pdmodel"), identity_blocks=2)
    assert found.row("onednn", "pdmodel").fused == 12


@pytest.mark.slow
def test_resnet50(tmp_path: Path) -> None:
    """53 convolutions: 33 with relu, 16 sums with relu, 4 projections."""
    found = audited(create("resnet50"), tmp_path, size=64)
    for format in bundles.FORMATS:
        row = found.row("onednn", format)
        assert (row.fused, row.with_act, row.with_residual, row.ops["fused_conv2d"]) == (53, 33, 16, 53)
        assert not row.ops.keys() & {"conv2d", "batch_norm", "add", "relu"}
        assert "batch_norm" not in found.row("native", format).ops
    row = found.row("gpu", "pdmodel")
    assert (row.fused, row.ops["fused_conv2d_add_act"]) == (53, 53)
    assert not row.ops.keys() & {"add", "relu"}
    assert found.complete


@pytest.mark.slow
def test_resnet50_with_its_sums_written_out_first(tmp_path: Path) -> None:
    found = audited(turn_sums_round(create("resnet50")), tmp_path, size=64)
    assert_out_first_is_caught(found.row("gpu", "pdmodel"), identity_blocks=12)


@pytest.mark.parametrize("drop_path", [0.0, 0.3])
def test_zero_pad_skips_and_drop_path_fuse_everywhere(tmp_path: Path, drop_path: float) -> None:
    found = audited(bundles.small_net(skip="zero_pad", drop_path=drop_path), tmp_path)
    rows = [row for row in found.rows if row.backend != "native"]
    assert len(rows) == len(bundles.FORMATS) + 1
    for row in rows:
        assert (row.sites, row.fused, row.with_residual) == (10, 10, 4)
        assert not row.ops.keys() & {"conv2d", "batch_norm", "add", "relu"}


class PaddedSkip(ZeroPadSkip):
    """Zero channels by padding, in evaluation too."""

    def forward(self, x_NCHW: paddle.Tensor) -> paddle.Tensor:
        """Return the same values as a ZeroPadSkip."""
        x_N1CHW = x_NCHW[:, :, :: self.stride, :: self.stride].unsqueeze(1)
        return F.pad(x_N1CHW, [0, 0, 0, 0, self.before, self.after], data_format="NCDHW").squeeze(1)


def test_a_padded_skip_fuses_in_json_and_has_its_reason_in_pdmodel(tmp_path: Path) -> None:
    net = bundles.small_net(skip="zero_pad")
    for layer in net.sublayers():
        if isinstance(layer, ZeroPadSkip):
            layer.__class__ = PaddedSkip
    found = audited(net, tmp_path)
    if paddle_api.has_json():
        assert found.row("onednn", "json").fused == 10
    row = found.row("onednn", "pdmodel")
    assert (row.fused, row.ops["add"]) == (8, 2)
    assert {site.site for site in row.unfused} == {"stages.1.0.branch.1.conv", "stages.1.2.branch.2.conv"}
    wanted = "addition runs by itself: the oneDNN pass for .pdmodel wants a residual that the convolution depends on"
    assert {site.reason for site in row.unfused} == {f"{wanted}; a padded skip is not"}
    assert found.complete
    assert found.row("gpu", "pdmodel").fused == 10


def test_a_gated_skip_fuses_in_json_and_has_its_reason_in_pdmodel(tmp_path: Path) -> None:
    spec = spec_of("cifar_sparse_gated20", num_classes=5)
    net = build(spec.model_copy(update={"stages": tuple(stage[:1] for stage in spec.stages)}))
    bundles.enliven(net)
    found = audited(net, tmp_path)
    if paddle_api.has_json():
        assert found.row("onednn", "json").fused == 7
    row = found.row("onednn", "pdmodel")
    assert {site.site for site in row.unfused} == {f"stages.{stage}.0.branch.1.conv" for stage in range(3)}
    assert {site.reason.rpartition("; ")[2] for site in row.unfused} == {"a gated skip is not"}
    assert found.complete


class TracedGelu(nn.Layer):
    """GELU as paddle_api gives it."""

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Return x * Phi(x)."""
        return paddle_api.gelu(x)


@pytest.mark.parametrize(
    ("act", "layer", "in_json", "in_pdmodel", "reason"),
    [
        ("leaky_relu", nn.LeakyReLU, 2, 12, "the pass for .json crashes on leaky_relu"),
        ("silu", nn.Swish, 12, 12, ""),
        ("silu", nn.Silu, 2, 2, "the oneDNN passes know the operator swish, not silu"),
        ("gelu", TracedGelu, 12, 12, ""),
    ],
)
def test_other_activations(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    act: str,
    layer: type[nn.Layer],
    in_json: int,
    in_pdmodel: int,
    reason: str,
) -> None:
    """Two of the twelve sites, the projections, have no activation; the GPU passes take no other."""
    monkeypatch.setitem(ACTIVATIONS, act, layer)  # type: ignore[arg-type]
    found = audited(bundles.small_net(act=act), tmp_path)
    for format, fused in {"json": in_json, "pdmodel": in_pdmodel}.items():
        if format in bundles.FORMATS:
            row = found.row("onednn", format)
            assert row.fused == fused
            assert all(reason in site.reason for site in row.unfused)
    row = found.row("gpu", "pdmodel")
    assert row.fused == 2
    assert all("take in relu only" in site.reason for site in row.unfused)
    assert found.complete


def test_gelu_is_the_one_of_paddle() -> None:
    x = paddle.linspace(-4, 4, 99)
    np.testing.assert_array_equal(paddle_api.gelu(x).numpy(), F.gelu(x).numpy())


def test_what_ran_must_be_what_was_optimised(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sites = read_bundle(bundle).deploy.sites
    monkeypatch.setattr(audit_module, "executed", lambda *_: Counter(conv2d=3))
    with pytest.raises(CheckFailedError, match=r"the optimised program has .*, but \{'conv2d': 3\} ran"):
        audit(bundle, sites, (1, 3, bundles.SIZE, bundles.SIZE))


def test_a_site_that_is_not_in_the_program_is_unexplained(bundle: Path) -> None:
    sites = [Site(name="gone.conv", pattern="conv+bn", act=None, parameter="gone.w_0")]
    found = audit(bundle, sites, (1, 3, bundles.SIZE, bundles.SIZE))
    assert not found.complete
    assert found.rows[0].unfused[0].reason == "expected one operator with the filter gone.w_0, found 0"


def test_the_report_as_json_and_as_a_table(report: AuditReport) -> None:
    rows = [FusionRow.model_validate(row) for row in report.as_dict()["rows"]]
    assert tuple(rows) == report.rows
    printed = io.StringIO()
    Console(width=200, file=printed).print(report.table())
    text = printed.getvalue()
    assert "12 of 12" in text
    assert "4 x bias, addition and relu run by themselves" in text


def test_the_picture_shows_a_block_before_and_after(report: AuditReport) -> None:
    after = f"onednn {bundles.FORMATS[0]}"
    picture = block_svg(report.graphs["before"], report.graphs[after], report.sites, "stages.1.2")
    labels = re.findall(r'text-anchor="middle"[^>]*>([^<]*)<', picture)
    before = ["batch_norm", "conv2d"] * 4 + ["relu"] * 3 + ["add", "input"]
    fused = ["fused_conv2d", "fused_conv2d + relu", "fused_conv2d + relu", "fused_conv2d + residual + relu", "input"]
    assert Counter(labels) == Counter(before + fused)
    assert picture.startswith("<svg") and picture.endswith("</svg>\n")
    with pytest.raises(ValueError, match=r"no site is inside 'stages\.9'"):
        block_svg(report.graphs["before"], report.graphs[after], report.sites, "stages.9")


def test_a_block_ends_where_the_next_begins(report: AuditReport) -> None:
    parameters = {site.parameter for site in report.sites if site.name.startswith("stages.0.0.")}
    found = [op.type for op in operators(report.graphs["before"], parameters)]
    assert found == ["conv2d", "batch_norm", "relu", "conv2d", "batch_norm", "add", "relu"]


def conv(*, act: str | None = None, residual: str | None = None, out: str = "y") -> Op:
    inputs = ("x", "w", *((residual,) if residual else ()))
    return Op("fused_conv2d", inputs, (out,), filter="w", residual=residual, act=act)


def graph(*ops: Op) -> Graph:
    return Graph((Op("feed", (), ("x",)), *ops), {"w": "w", "b": "b"})


PLAIN, ACT, SUM = (
    Site(name="a.conv", pattern=pattern, act=act, parameter="w")
    for pattern, act in (("conv+bn", None), ("conv+bn+act", "relu"), ("conv+bn+residual+act", "relu"))
)


@pytest.mark.parametrize(
    ("site", "ops", "reason"),
    [
        (PLAIN, [conv()], None),
        (ACT, [conv(act="relu")], None),
        (SUM, [conv(act="relu", residual="x")], None),
        (PLAIN, [conv(act="relu", residual="x")], None),
        (PLAIN, [conv(act="relu")], "expected no activation in the convolution, found relu"),
        (ACT, [conv(act="gelu")], "expected relu in the convolution, found gelu"),
        (PLAIN, [conv(), Op("batch_norm", ("y", "b"), ("z",))], "batch_norm runs by itself"),
        (ACT, [conv(), Op("add", ("y", "b"), ("z",)), Op("relu", ("z",), ("r",))], "bias and relu run by themselves"),
        (ACT, [conv(), Op("gelu", ("y",), ("z",))], "expected relu after fused_conv2d 'w', found gelu"),
        (ACT, [conv()], "expected relu after fused_conv2d 'w', found the output"),
        (ACT, [conv(), Op("relu", ("y",), ("z",)), Op("relu", ("y",), ("q",))], "expected relu .*, found relu, relu"),
        (SUM, [conv(act="relu")], "expected addition after fused_conv2d 'w', found the output"),
        (SUM, [conv(), Op("add", ("x", "y"), ("z",), act="relu")], "addition runs by itself"),
        (
            SUM,
            [conv(), Op("tanh", ("x",), ("s",)), Op("add", ("s", "y"), ("z",), act="relu")],
            "addition runs by itself: .*the output of tanh is not",
        ),
        (SUM, [conv(), Op("fused_conv2d", ("x", "b", "y"), ("z",), "b", residual="y", act="relu")], None),
        (SUM, [conv(), conv(out="z")], "expected one operator with the filter w, found 2"),
    ],
)
def test_judgement(site: Site, ops: list[Op], reason: str | None) -> None:
    found = judge(graph(*ops), site, "onednn")
    if reason is None:
        assert found is None
    else:
        assert found is not None
        assert re.match(reason, found.reason), found.reason


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("onednn_op.fused_conv2d:7", "fused_conv2d"),
        ("pd_op.relu_:9", "relu"),
        ("1.add", "add"),
        ("elementwise_add", "add"),
    ],
)
def test_one_name_for_one_operator(raw: str, name: str) -> None:
    assert op_name(raw) == name


@pytest.mark.parametrize("format", bundles.FORMATS)
def test_an_exported_program_is_read_whole(bundle: Path, format: str, report: AuditReport) -> None:
    found = read_graph(bundle / f"inference.{format}")
    counts = found.counts()
    assert (counts["conv2d"], counts["batch_norm"], counts["relu"], counts["add"]) == (12, 12, 10, 4 + 1)
    filters = [found.sources(op.filter) for op in found.live if op.filter]
    assert sorted(name for each in filters for name in each) == sorted(site.parameter for site in report.sites)


@pytest.mark.parametrize("name", ["a.json", "a.pdmodel"])
def test_another_file_is_not_taken_for_a_program(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b'{"program": 3}')
    with pytest.raises(CheckFailedError, match="is not a program this version can read"):
        read_graph(tmp_path / name)
