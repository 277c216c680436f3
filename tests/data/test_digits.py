"""The built-in digits against scikit-learn's own loader."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ppresnet.config.schema import DataConfig
from ppresnet.data import open_split
from ppresnet.data.digits import Digits
from ppresnet.errors import DataError

Config = Callable[..., DataConfig]


def opened(config: Config, split: str, channels: int = 1) -> Digits:
    return open_split(config(format="digits", val="test"), split, in_channels=channels, num_classes=10)


def test_every_digit_is_in_one_split_as_scikit_learn_has_it(config: Config) -> None:
    truth = load_digits()
    splits = [opened(config, split) for split in ("train", "val")]
    assert sorted(row for split in splits for row in split.rows) == list(range(1797))
    for split in splits:
        for at, row in enumerate(split.rows):
            assert np.abs(split.image(at)[:, :, 0] / 255 * 16 - truth.images[row]).max() < 0.04
            assert split.labels[at] == truth.target[row]
        assert {0, 255} <= set(np.unique(split.images))


def test_a_quarter_of_each_class_is_held_out(config: Config) -> None:
    train, test = (np.bincount(opened(config, split).labels, minlength=10) for split in ("train", "val"))
    assert np.array_equal(test, np.ceil((train + test) / 4))


def test_recipe_figures_are_those_of_the_train_split(config: Config) -> None:
    values = opened(config, "train").images / 255
    default = DataConfig()
    assert values.mean() == pytest.approx(default.mean[0], abs=1e-3)
    assert values.std() == pytest.approx(default.std[0], abs=1e-3)


def test_colour_repeats_grey(config: Config) -> None:
    grey, colour = opened(config, "train").image(7), opened(config, "train", 3).image(7)
    assert np.array_equal(colour, np.dstack([grey] * 3))


def test_wrong_requests(config: Config) -> None:
    with pytest.raises(DataError, match=r"data.train is 'all'; digits have the splits train and test"):
        open_split(config(format="digits", train="all"), "train", in_channels=1, num_classes=10)
    with pytest.raises(DataError, match=r"set data.root to null"):
        open_split(config(format="digits", root="somewhere"), "train", in_channels=1, num_classes=10)
    with pytest.raises(DataError, match=r"expected 7 classes .* found 10"):
        open_split(config(format="digits"), "train", in_channels=1, num_classes=7)
    with pytest.raises(DataError, match="'sequence' does not hold images"):
        open_split(config(format="sequence"), "train", in_channels=1, num_classes=10)
