"""What only pruned networks need: zero channels that are not centred, and GroupNorms of other groups."""

import numpy as np
import paddle
import pytest

from deploy.slim.families import FAMILIES, family_of, narrowed, without
from deploy.slim.grouping import channel_graph
from deploy.slim.kept import Kept
from ppresnet.errors import ConfigError, RequestError
from ppresnet.layers import ZeroPadSkip
from ppresnet.models import build
from ppresnet.spec import FAMILIES as SPECS
from ppresnet.spec import spec_from_dict, spec_of


@pytest.mark.parametrize("before", [0, 1, 3])
def test_zero_channels_stand_where_the_spec_says(before: int) -> None:
    skip = ZeroPadSkip(2, 5, 2, before=before)
    x = paddle.to_tensor(np.random.default_rng(0).normal(size=(2, 2, 4, 4)).astype(np.float32))
    expected = np.zeros((2, 5, 2, 2), np.float32)
    expected[:, before : before + 2] = x.numpy()[:, :, ::2, ::2]
    skip.train()
    np.testing.assert_array_equal(skip(x).numpy(), expected)
    skip.eval()
    np.testing.assert_array_equal(skip(x).numpy(), expected)


def test_more_zero_channels_than_there_are_are_refused() -> None:
    with pytest.raises(ConfigError, match="adds 3 channels here; found 4 before the input"):
        ZeroPadSkip(2, 5, 2, before=4)


def test_groups_of_a_group_norm_are_part_of_the_spec() -> None:
    spec = spec_of("cifar_resnet20", norm="group").model_copy(update={"norm_groups": (("stem.norm", 4),)})
    again = spec_from_dict(spec.model_dump(mode="json"))
    assert again == spec
    assert build(again).stem.norm._num_groups == 4
    for name, groups, found in (("stem.norm", 5, "of 16 channels"), ("stem.conv", 4, "none"), ("x", 1, "none")):
        wrong = spec.model_copy(update={"norm_groups": ((name, groups),)})
        with pytest.raises(ConfigError, match=f"expected a GroupNorm '{name}' that {groups} divides, found .*{found}"):
            build(wrong)


def test_a_network_that_keeps_everything_has_the_spec_it_had() -> None:
    spec = spec_of("cifar_resnet20", norm="group")
    assert narrowed(spec, Kept(channel_graph(spec), {})) == spec


def test_group_norms_of_dropped_blocks_go_with_them_and_those_behind_move_up() -> None:
    names = ("stages.0.1.branch.0.norm", "stages.0.2.branch.0.norm", "stem.norm")
    spec = spec_of("cifar_resnet20", norm="group").model_copy(update={"norm_groups": tuple((n, 4) for n in names)})
    smaller = without(spec, ["stages.0.1"])
    assert smaller.norm_groups == (("stages.0.1.branch.0.norm", 4), ("stem.norm", 4))
    assert build(smaller).stages[0][1].branch[0].norm._num_groups == 4


def test_a_family_that_cannot_be_pruned_is_refused_by_name() -> None:
    spec = spec_of("cifar_resnet20").model_copy(update={"family": "unknown"})
    with pytest.raises(RequestError, match="the family 'unknown' cannot be pruned; expected one of resnet"):
        family_of(spec)
    assert FAMILIES.keys() <= SPECS.keys()
