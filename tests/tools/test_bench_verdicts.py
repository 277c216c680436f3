"""The verdicts of benchmarks on figures that nobody measured."""

from typing import Any

import pytest
from bench.recompute import judge as judge_recompute
from bench.training import judge as judge_training
from bench.training import rows as rows_of_training

FINE = {"above_built_mb": 0.36, "seconds": 1.3, "bit_equal": True}


def test_recompute_within_its_bounds_is_accepted() -> None:
    assert judge_recompute(FINE, 500.0, 6144) == []
    assert judge_recompute({}, 6143.0, 6144) == []


@pytest.mark.parametrize(
    ("changed", "peak", "problem"),
    [
        ({"above_built_mb": 0.41}, 500.0, "expected at most 0.4 of the memory, found 0.41"),
        ({"seconds": 1.5}, 500.0, "expected at most 1.4 times the time, found 1.50"),
        ({"bit_equal": False}, 500.0, "expected gradients and statistics equal bit for bit, found others"),
        ({}, 6144.0, "expected a step in less than 6144 MB, found 6144"),
    ],
)
def test_each_bound_of_recompute_is_held(changed: dict[str, Any], peak: float, problem: str) -> None:
    assert judge_recompute(FINE | changed, peak, 6144) == [problem]


def row(setting: str, stock: float | None, pytorch: float | None) -> dict[str, Any]:
    return {"model": "resnet50", "setting": setting, "times_stock": stock, "times_pytorch": pytorch}


def test_the_better_malloc_setting_counts() -> None:
    rows = [row("onednn", 3.9, 1.1), row("onednn_malloc", 4.1, 1.3), row("onednn_bf16", 8.0, 0.8)]
    assert judge_training(rows) == []


def test_too_slow_kernels_are_named() -> None:
    assert judge_training([row("onednn", 3.9, 1.1), row("onednn_bf16", None, 0.6)]) == [
        "resnet50, bf16: times_pytorch is 0.60, expected 0.7 or more",
        "resnet50, fp32: times_pytorch is 1.10, expected 1.2 or more",
        "resnet50, fp32: times_stock is 3.90, expected 4.0 or more",
    ]


def run_of(seconds: float) -> dict[str, Any]:
    return {
        "seconds": [9.0, 9.0, seconds],
        "peak_memory_mb": 1,
        "cores": [2, 2, 2],
        "load": 0,
        "parameters": 1,
        "used": "",
    }


def test_ratios_are_taken_within_rounds_and_to_the_faster_layout() -> None:
    seconds = {"onednn": (1, 8, 2), "torch_nchw_fp32": (4, 40, 9), "torch_channels_last_fp32": (1.5, 10, 3)}
    runs = {setting: [run_of(one) for one in of] for setting, of in seconds.items()}
    ours, nchw, last = rows_of_training(runs, "cifar_resnet20")
    assert ours["images_per_second"] == 128 / 2
    assert [one["times_pytorch"] for one in (ours, nchw, last)] == [1.5, 1 / 3, 1]
    assert ours["times_stock"] is None
