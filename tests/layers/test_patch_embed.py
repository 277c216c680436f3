"""Patches, the class token and positions against numpy."""

import numpy as np
import paddle
import pytest

from ppresnet.errors import RequestError
from ppresnet.layers.patch_embed import ClassToken, PatchEmbed, map_of


def test_a_token_is_the_projection_of_its_patch_and_patches_go_row_by_row() -> None:
    layer = PatchEmbed(3, 5, patch=2, grid=4)
    layer.proj.bias.set_value(np.arange(5, dtype=np.float32))
    image = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    kernel = layer.proj.weight.numpy().reshape(5, -1)
    tokens = layer(paddle.to_tensor(image)).numpy()
    assert tokens.shape == (2, 16, 5)
    for index in range(16):
        row, column = divmod(index, 4)
        patch = image[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].reshape(2, -1)
        np.testing.assert_allclose(tokens[:, index], patch @ kernel.T + np.arange(5), rtol=1e-4, atol=1e-5)


def test_the_map_has_every_token_at_the_place_of_its_patch() -> None:
    tokens = np.random.default_rng(0).standard_normal((2, 1 + 9, 5)).astype(np.float32)
    found = map_of(paddle.to_tensor(tokens), 3).numpy()
    for index in range(9):
        np.testing.assert_array_equal(found[:, :, index // 3, index % 3], tokens[:, 1 + index])


def test_the_class_token_comes_first_and_each_place_has_its_position() -> None:
    layer = ClassToken(4, 3)
    layer.cls_token.set_value(np.full((1, 1, 3), 7, np.float32))
    tokens = np.random.default_rng(0).standard_normal((2, 4, 3)).astype(np.float32)
    expected = np.concatenate([np.full((2, 1, 3), 7.0), tokens], axis=1) + layer.pos_embed.numpy()
    np.testing.assert_allclose(layer(paddle.to_tensor(tokens)).numpy(), expected, rtol=1e-6)


def test_an_image_of_another_size_is_refused_with_both_sizes() -> None:
    with pytest.raises(RequestError, match=r"4 x 4 patches, found 4 x 5; .*model\.input_size"):
        PatchEmbed(3, 5, patch=2, grid=4)(paddle.zeros([1, 3, 8, 10]))
