"""Where a run stands, through JSON and back, and what is said of a progress that is no such thing."""

import json
from typing import Any

import pytest

from ppresnet.errors import CheckpointError
from ppresnet.train.guards import Guard
from ppresnet.train.metrics import Window
from ppresnet.train.progress import Best, Progress
from ppresnet.train.scaling import LossScale


def stored(**changes: object) -> dict[str, Any]:
    progress = Progress(
        epoch=2, batch=3, step=17, best=Best(12, 91.25, 0.5, map=0.75), window=Window(1.5, 2, 4), journal_bytes=99,
        broken={"a.png": "cut short"}, stale=1, guard=Guard(0.25, 60, 1, 2), scale=LossScale(1024.0, 50, 3),
        ema_steps=16, parts=2, classes=["cat", "dog"],
    )  # fmt: skip
    return {**json.loads(json.dumps(progress.to_dict())), **changes}


def test_nothing_is_lost_on_the_way_through_json() -> None:
    for found in (stored(), stored(best=None, scale=None)):
        assert Progress.from_dict(found).to_dict() == found
    assert isinstance(Progress.from_dict(stored()).guard, Guard)
    assert Progress.from_dict(json.loads(json.dumps(Progress().to_dict()))) == Progress()


def test_what_came_later_has_its_default_in_an_older_checkpoint() -> None:
    found = stored()
    for name in ("stale", "ema_steps", "parts", "classes"):
        del found[name]
    del found["best"]["map"]
    progress = Progress.from_dict(found)
    assert (progress.stale, progress.ema_steps, progress.parts, progress.classes) == (0, 0, 1, [])
    assert progress.best == Best(12, 91.25, 0.5)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"epochs": 3}, r"unknown key 'epochs'; did you mean 'epoch'\?"),
        ({"humidity": "high"}, r"unknown key 'humidity'; resume"),
        ({"window": {"loss": 1.0}}, r"unknown key 'window\.loss'"),
        ({"guard": {"meanloss": 1.0}}, r"unknown key 'guard\.meanloss'; did you mean 'mean_loss'\?"),
        ({"scale": {"scale": 1.0}}, r"'scale\.growth_steps': Field required"),
        ({"best": {"step": 3}}, r"'best\.top1': Field required"),
        ({"best": 3}, r"'best': .*, not 3;"),
        ({"window": None}, r"'window': .*, not None;"),
        ({"step": "many"}, r"'step': .* integer.*, not 'many';"),
        ({"classes": {"cat": 1}}, r"'classes': .* list, not \{'cat': 1\};"),
    ],
)
def test_a_progress_of_another_kind_is_refused(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(CheckpointError, match=problem) as caught:
        Progress.from_dict(stored(**changes))
    assert "the checkpoint's progress.json: expected the progress of a run" in str(caught.value)
    assert "init_from" in str(caught.value)


@pytest.mark.parametrize("name", ["epoch", "batch", "step", "best", "window", "guard", "scale"])
def test_a_progress_without_a_position_is_refused(name: str) -> None:
    found = stored()
    del found[name]
    with pytest.raises(CheckpointError, match=f"found no key '{name}'; resume"):
        Progress.from_dict(found)
