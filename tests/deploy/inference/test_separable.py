"""The audit of networks without residual sums: depthwise separable blocks with hard swish, and dense layers."""

from pathlib import Path

import bundles
import pytest
from paddle import nn

from deploy.inference.audit import AuditReport, audit
from ppresnet import paddle_api
from ppresnet.layers.sites import promised_sites
from ppresnet.models import build
from ppresnet.spec import DenseLayerSpec, DenseNetSpec, LCNetSpec, SeparableSpec, StemSpec

pytestmark = pytest.mark.skipif(not paddle_api.has_onednn(), reason="this Paddle has no oneDNN")
SIZE = 32
DEPTHWISE = "only the oneDNN passes fold the BatchNorm of a depthwise convolution"


def audited(net: nn.Layer, directory: Path) -> AuditReport:
    bundles.enliven(net)
    bundles.save_programs(net, directory, SIZE)
    return audit(directory, promised_sites(net), (1, 3, SIZE, SIZE))


@pytest.fixture(scope="module")
def separable(tmp_path_factory: pytest.TempPathFactory) -> AuditReport:
    """Five sites: the stem, and a depthwise and a pointwise convolution in each of two blocks, one of them gated."""
    stages = ((SeparableSpec(kernel=3, width=16),), (SeparableSpec(kernel=5, width=24, stride=2, reduced=4),))
    spec = LCNetSpec(name="small", num_classes=4, input_size=SIZE, stem=8, stages=stages, hidden=32)
    return audited(build(spec), tmp_path_factory.mktemp("separable"))


@pytest.mark.parametrize("format", bundles.FORMATS)
def test_onednn_fuses_depthwise_convolutions_with_hard_swish(separable: AuditReport, format: str) -> None:
    row = separable.row("onednn", format)
    assert (row.sites, row.fused, row.unfused) == (5, 5, ())
    assert not row.ops.keys() & {"batch_norm", "hard_swish"}


@pytest.mark.parametrize("format", bundles.FORMATS)
def test_the_native_cpu_leaves_the_batch_norm_of_a_depthwise_convolution(separable: AuditReport, format: str) -> None:
    row = separable.row("native", format)
    assert (row.ops["batch_norm"], row.ops["hard_swish"], row.fused) == (2, 6, 0)
    reasons = {site.site: site.reason for site in row.unfused}
    assert {site for site in reasons if DEPTHWISE in reasons[site]} == {
        "stages.0.0.depthwise.conv",
        "stages.1.0.depthwise.conv",
    }
    assert separable.complete


def test_dense_layers_fuse_what_stands_between_their_convolutions(tmp_path: Path) -> None:
    """Four sites, the stem and three bottlenecks; the BatchNorms on a dense skip have no convolution to go into."""
    layer = DenseLayerSpec(growth=6, bottleneck=12)
    stem = StemSpec(kind="imagenet", width=8)
    stages = ((layer, layer), (layer,))
    spec = DenseNetSpec(name="small", num_classes=4, input_size=SIZE, stem=stem, stages=stages, transitions=(10,))
    found = audited(build(spec), tmp_path)
    for row in found.rows:
        assert row.fused == (0 if row.backend == "native" else 4)
        assert row.ops["batch_norm"] == 3 + 1 + 1
    assert found.complete
