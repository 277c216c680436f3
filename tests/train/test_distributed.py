"""Two processes train and evaluate as one does."""

from pathlib import Path

import numpy as np
import pytest
import rank_worker
from process_group import run_group
from relative import difference

from ppresnet.hardware import Place, place
from ppresnet.train.gradients import buckets
from ppresnet.train.ranks import ALONE, Ranks

Results = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[Results]:
    """What each of two processes found."""
    files = [tmp_path_factory.mktemp("ranks") / f"{rank}.npz" for rank in range(2)]
    run_group(Path(rank_worker.__file__), [[file] for file in files])
    return [dict(np.load(file)) for file in files]


@pytest.fixture(scope="module")
def one() -> Results:
    return rank_worker.results(ALONE)


def test_two_processes_find_the_gradients_metrics_and_statistics_of_one(two: list[Results], one: Results) -> None:
    ours, theirs = two
    gradients = [name for name in one if name.startswith(("uneven ", "few ")) and "window" not in name]
    assert len(gradients) > 60 and not any("stem" in name or "stages.0." in name for name in gradients)
    assert {name for name in ours if name.startswith(("uneven ", "few "))} == {
        *gradients,
        "uneven window",
        "few window",
    }
    for case in ("uneven", "few"):
        mine, whole = ([found[name].ravel() for name in gradients if name.startswith(case)] for found in (ours, one))
        assert difference(np.concatenate(mine), np.concatenate(whole)) < 1e-6
        np.testing.assert_allclose(ours[f"{case} window"], one[f"{case} window"], rtol=1e-6)
    for name in ("evaluation", "confusion"):
        np.testing.assert_array_equal(ours[name], one[name])
    assert one["confusion"].sum() == 454
    for name in one:  # the processes never differ in a bit
        np.testing.assert_array_equal(ours[name], theirs[name])
    # The first trained layer: the mean over shares of 5 and 4 images, weighted, is that of all 9. Later layers see what
    # other statistics normalised.
    first = "statistics stages.1.0.branch.0.norm._mean"
    assert np.abs(one[first]).max() > 0.01
    assert difference(ours[first], one[first]) < 1e-6


@pytest.mark.parametrize("name", rank_worker.ALIKE)
def test_batch_norm_that_is_frozen_or_synchronised_does_not_depend_on_the_processes(
    name: str, two: list[Results], one: Results
) -> None:
    keys = [key for key in one if key.startswith(f"{name} ")]
    gradients, moved = ([key for key in keys if (" moved " in key) is which] for which in (False, True))
    assert len(gradients) == 59 and len(moved) == 38
    ours, whole = (np.concatenate([found[key].ravel() for key in gradients]) for found in (two[0], one))
    # Synchronised statistics are sums over the processes, and their rounding goes through all 19 of them.
    assert difference(ours, whole) < (1e-6 if name == "frozen" else 3e-6)
    for key in moved:
        np.testing.assert_allclose(two[0][key], one[key], rtol=1e-5, atol=1e-6, err_msg=key)
        assert (one[key] == float(key.endswith("_variance"))).all() is np.bool_(name == "frozen"), key


def test_recompute_changes_nothing_in_two_processes(two: list[Results]) -> None:
    keys = [key for key in two[0] if key.startswith("synchronised ")]
    assert len(keys) == 59 + 38
    for key in keys:
        np.testing.assert_array_equal(two[0][key.replace("synchronised", "recomputed")], two[0][key], err_msg=key)


def test_an_error_in_one_process_is_that_of_all(two: list[Results]) -> None:
    for found in two:
        assert str(found["said"]) == "the second process has no data; 2"
        assert str(found["gathered"]) == "[{'rank': 0, 'text': ''}, {'rank': 1, 'text': 'ééé'}]"
        assert found["first"].tobytes() == b"of the first"


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("images", [0, 1, 4, 9])
def test_shares_are_a_partition(images: int, size: int) -> None:
    shares = [Ranks(rank, size).share(np.arange(images)) for rank in range(size)]
    np.testing.assert_array_equal(np.concatenate(shares), np.arange(images))
    lengths = [len(share) for share in shares]
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("sizes", [[], [1], [5, 5, 5], [20, 1, 1, 9, 2], [3, 3, 4, 11, 3]])
def test_buckets_hold_everything_once_and_not_too_much(sizes: list[int]) -> None:
    found = list(buckets(sizes, limit=10))
    assert [index for bucket in found for index in bucket] == list(range(len(sizes)))
    assert all(len(bucket) == 1 or sum(sizes[index] for index in bucket) <= 10 for bucket in found)


BOTH = {"PADDLE_TRAINER_ID": "2", "PADDLE_TRAINERS_NUM": "4"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Place(0, 1, 1)),
        ({"PADDLE_TRAINER_ID": "0", "PADDLE_TRAINERS_NUM": "1"}, Place(0, 1, 1)),
        ({"PADDLE_TRAINERS_NUM": "4"}, Place(0, 1, 1)),
        ({**BOTH, "PADDLE_LOCAL_SIZE": "2"}, Place(2, 4, 2)),
        (
            {
                **BOTH,
                "PADDLE_CURRENT_ENDPOINT": "10.0.0.2:6170",
                "PADDLE_TRAINER_ENDPOINTS": "10.0.0.1:6170,10.0.0.1:6171,10.0.0.2:6170,10.0.0.1:6172",
            },
            Place(2, 4, 1),
        ),
        (BOTH, Place(2, 4, 1)),
    ],
)
def test_the_place_of_a_process_is_read_from_the_environment(environment: dict[str, str], expected: Place) -> None:
    assert place(environment) == expected
