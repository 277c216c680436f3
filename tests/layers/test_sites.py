"""What the blocks promise, counted against the published depth of the networks."""

from collections import Counter

import bundles
import pytest

from ppresnet.bundle import Site
from ppresnet.layers import ConvNorm
from ppresnet.layers.sites import promised_sites
from ppresnet.models import create

ACT, SUM, PLAIN = "conv+bn+act", "conv+bn+residual+act", "conv+bn"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Convolutions = depth - 1 and the projections; one sum per block.
        ("resnet18", {ACT: 1 + 8, SUM: 8, PLAIN: 3}),
        ("resnet50", {ACT: 1 + 32, SUM: 16, PLAIN: 4}),
        ("cifar_resnet20", {ACT: 1 + 9, SUM: 9}),
        ("cifar_plain20", {ACT: 19}),
        # Gated branches are scaled before the sum; pre-activation ones end in a convolution that nothing follows.
        ("seresnet50", {ACT: 1 + 32, PLAIN: 16 + 4}),
        ("resnetv2_50", {ACT: 32}),
        ("cifar_wrn16_8", {ACT: 6}),
    ],
)
def test_counts(name: str, expected: dict[str, int]) -> None:
    assert Counter(site.pattern for site in promised_sites(create(name))) == expected


def test_each_convolution_has_one_site_that_names_it_and_its_filter() -> None:
    net = bundles.small_net(act="silu")
    sites = {site.name: site for site in promised_sites(net)}
    layers = dict(net.named_sublayers())
    assert len(sites) == sum(isinstance(layer, ConvNorm) for layer in layers.values()) == 12
    assert all(site.parameter == layers[name].weight.name for name, site in sites.items())
    assert {site.act for site in sites.values() if site.pattern != PLAIN} == {"silu"}
    assert {site.act for site in sites.values() if site.pattern == PLAIN} == {None}


def test_the_last_convolution_of_a_branch_takes_the_sum_and_the_projection_does_not() -> None:
    found = {site.name: site.pattern for site in promised_sites(bundles.small_net())}
    assert {name.removeprefix("stages.1.2."): found[name] for name in found if name.startswith("stages.1.2.")} == {
        "branch.0.conv": ACT,
        "branch.1.conv": ACT,
        "branch.2.conv": SUM,
        "skip.project.conv": PLAIN,
    }


@pytest.mark.parametrize(("norm", "sites"), [("batch", 19), ("sync_batch", 19), ("group", 0), ("layer", 0)])
def test_what_depends_on_the_image_is_not_promised_to_fold(norm: str, sites: int) -> None:
    assert len(promised_sites(create("cifar_resnet20", norm=norm))) == sites


def test_a_layer_by_itself() -> None:
    layer = ConvNorm(3, 4, 3, act="relu")
    assert promised_sites(layer) == (Site(name="conv", pattern=ACT, act="relu", parameter=layer.conv.weight.name),)
