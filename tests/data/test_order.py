"""Orders and batches."""

import numpy as np
import pytest

from ppresnet.data import batches, order
from ppresnet.data.order import sample_generator


def test_order_is_a_permutation_that_follows_seed_and_epoch() -> None:
    orders = {(seed, epoch): tuple(order(50, seed, epoch)) for seed in (0, 1) for epoch in (0, 1, 2)}
    assert all(sorted(one) == list(range(50)) for one in orders.values())
    assert len(set(orders.values())) == 6
    assert tuple(order(50, 1, 2)) == orders[1, 2]


def test_first_places_are_drawn_evenly() -> None:
    first = np.bincount([order(5, seed, 0)[0] for seed in range(1000)], minlength=5)
    assert np.abs(first - 200).max() < 5 * np.sqrt(1000 * 0.2 * 0.8)


@pytest.mark.parametrize(("n", "size"), [(10, 3), (9, 3), (2, 5), (1, 1), (0, 4)])
def test_batches_hold_every_index_once(n: int, size: int) -> None:
    plain = batches(n, size)
    assert [index for batch in plain for index in batch] == list(range(n))
    assert [len(batch) for batch in plain] == [size] * (n // size) + [n % size] * (n % size > 0)
    shuffled = batches(n, size, seed=4, epoch=2)
    assert [index for batch in shuffled for index in batch] == order(n, 4, 2).tolist()
    assert all(len(batch) == size for batch in batches(n, size, seed=4, epoch=2, drop_last=True))
    assert len(batches(n, size, drop_last=True)) == n // size


def test_batch_size_zero() -> None:
    with pytest.raises(ValueError, match="batch_size is 0"):
        batches(3, 0)


def test_sample_generators_differ_in_every_part() -> None:
    parts = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert len({sample_generator(*part).random() for part in parts}) == 4
    assert sample_generator(3, 4, 5).random() == sample_generator(3, 4, 5).random()
