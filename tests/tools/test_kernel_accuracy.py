"""The verdict on accuracies that nobody measured, and the trainings it is about."""

from pathlib import Path

import pytest
from bench.kernel_accuracy import KERNELS, judge, main, parse
from bench.runs import Training

from ppresnet.errors import CheckFailedError


def test_means_that_are_close_are_accepted() -> None:
    assert judge({"stock": [80.0, 81.0], "oneDNN fp32": [80.7, 80.7], "oneDNN bf16": [79.3, 81.4]}) == []


@pytest.mark.parametrize("other", [80.85, 80.15])
def test_means_that_are_not_are_refused(other: float) -> None:
    found = judge({"stock": [80.0, 81.0], "oneDNN fp32": [other, other]})
    assert found == [f"oneDNN fp32: expected a mean within 0.3 of 80.50 %, found {other:.2f} %"]


def test_every_seed_is_trained_with_every_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def result(training: Training) -> dict[str, float]:
        asked.append((training.output.name, *training.overrides))
        return {"top1": 80.0 + 10 * ("hardware.onednn=enabled" in training.overrides)}

    monkeypatch.setattr(Training, "result", result)
    words = ["-c", "recipe.yaml", "--output", str(tmp_path), "--seeds", "2", "-o", "train.epochs=1"]
    with pytest.raises(CheckFailedError, match="oneDNN fp32: expected a mean within") as failed:
        main(parse(words))
    assert failed.value.result["top1"]["oneDNN fp32"] == [90.0, 90.0]
    assert len(asked) == len(set(asked)) == 2 * len(KERNELS)
    assert ("onednn_bf16_seed2", "train.epochs=1", *KERNELS["oneDNN bf16"], "seed=2") in asked
