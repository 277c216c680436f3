"""Topologies that no family of the random specs has by itself, each with the units worked out by hand."""

import paddle
import pytest
from paddle import nn

from deploy.slim.grouping import channel_graph, graph_of
from ppresnet.spec.vit import EncoderBlockSpec, ViTSpec


class Flattened(nn.Layer):
    """Channels of 2 x 2 pixels that a linear layer takes one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.fc = nn.Conv2D(3, 4, 3), nn.Linear(16, 2)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.fc(paddle.flatten(self.first(x), 1))


class Parted(nn.Layer):
    """Half of the channels are added to the other half, or joined with them in another order."""

    def __init__(self, added: bool) -> None:
        super().__init__()
        self.added = added
        self.first, self.last = nn.Conv2D(3, 4, 3), nn.Conv2D(2 if added else 4, 2, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        one, other = paddle.split(self.first(x), 2, axis=1)
        return self.last(one + other if self.added else paddle.concat([other, one], axis=1))


def units(model: nn.Layer, size: int = 4) -> dict[tuple[str, str], list[int]]:
    """Return for each tensor of the first group and its role the unit of each position."""
    group = graph_of(model, (3, size, size)).groups["first"]
    return {(member.tensor, member.role): member.units.tolist() for member in group.members}


def test_a_flattened_channel_has_a_row_of_the_linear_layer_for_each_pixel() -> None:
    found = units(Flattened())
    assert found["first.weight", "rows"] == [0, 1, 2, 3]
    assert found["fc.weight", "columns"] == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4


@pytest.mark.parametrize(
    ("added", "given", "taken"), [(True, [0, 1, 0, 1], [0, 1]), (False, [0, 1, 2, 3], [2, 3, 0, 1])]
)
def test_parts_are_tied_to_what_they_are_added_to_or_joined_with(
    added: bool, given: list[int], taken: list[int]
) -> None:
    found = units(Parted(added))
    assert found["first.weight", "rows"] == given
    assert found["last.weight", "columns"] == taken


def test_the_tokens_of_a_vision_transformer_stay_and_the_report_says_why() -> None:
    block = EncoderBlockSpec(heads=2, head_dim=3, mlp=5)
    graph = channel_graph(ViTSpec(name="small", num_classes=3, input_size=8, patch=4, width=7, blocks=(block, block)))
    reason = "LayerNorm runs over all channels of a token"
    assert graph.frozen["patch_embed.proj"].frozen == reason
    assert reason in repr(graph)
    assert sorted(group.units for group in graph) == [2, 2, 5, 5]
