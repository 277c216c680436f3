"""Memory that runs out in a real step: smaller parts, the same gradient, and no trace of the failed attempt."""

from typing import Any

import numpy as np
import paddle
import pytest
import rank_worker
from paddle.autograd import PyLayer
from relative import difference

from ppresnet.config import from_dict
from ppresnet.data import Batch
from ppresnet.errors import RequestError
from ppresnet.train.micro import exhausted
from ppresnet.train.ranks import ALONE, Ranks
from ppresnet.train.step import Step


def batch(count: int, first: int = 0) -> Batch:
    images = np.random.default_rng(first).standard_normal((count, 1, 8, 8)).astype(np.float32)
    return Batch(images, np.arange(count) % 10, np.arange(count), ())


def step_on(most: int | None, norm: str = "group", ranks: Ranks = ALONE) -> tuple[Step, Any, list[str]]:
    """Return a step whose network takes so many images at once, None for any number."""
    step, recorder = rank_worker.step_of(from_dict({"model": {"norm": norm}}), ranks)
    lines: list[str] = []
    step.memory.report = lines.append

    def refuse(_: object, given: tuple[paddle.Tensor, ...], __: object) -> None:
        if most is not None and given[0].shape[0] > most:
            raise SystemError("ResourceExhaustedError: Fail to alloc memory of 9 size")

    # The last layer: by then the running statistics have moved.
    step.model.head.register_forward_post_hook(refuse)
    return step, recorder, lines


def test_the_gradient_stays_that_of_the_whole_batch() -> None:
    group = [batch(8), batch(8, 1), batch(3, 2)]
    plain, expected, _ = step_on(None)
    _, wanted = plain.run(group, 0, 0, 0.1)
    step, recorder, lines = step_on(3)
    verdict, seen = step.run(group, 0, 0, 0.1)
    assert verdict == "go" and step.memory.parts == 4
    assert lines == [f"memory ran out; from here on every batch is cut into {parts} parts" for parts in (2, 4)]
    assert (seen.count, seen.correct) == (wanted.count, wanted.correct)
    assert seen.loss_sum == pytest.approx(wanted.loss_sum, rel=1e-6)
    ours, theirs = (np.concatenate([g.ravel() for g in one.gradients.values()]) for one in (recorder, expected))
    assert difference(ours, theirs) < 1e-6
    assert step.run(group, 0, 1, 0.1)[0] == "go" and len(lines) == 2  # it does not try the larger parts again


def test_a_failed_attempt_does_not_move_statistics() -> None:
    found = []
    for most, parts in ((4, 1), (None, 2)):  # cut after a failure, and cut from the start
        step, recorder, _ = step_on(most, norm="batch")
        step.memory.parts = parts
        assert step.run([batch(8)], 0, 0, 0.1)[0] == "go"
        state = {name: np.asarray(one) for name, one in step.model.state_dict().items()}
        found.append({**state, **{f"gradient {name}": one for name, one in recorder.gradients.items()}})
    for name, value in found[0].items():
        np.testing.assert_array_equal(found[1][name], value, err_msg=name)


def test_the_smallest_part_is_an_image() -> None:
    step, recorder, _ = step_on(0)
    with pytest.raises(RequestError, match=r"the batch cannot be cut any smaller.*recompute\.every"):
        step.run([batch(5)], 0, 0, 0.1)
    assert step.memory.parts == 5 and not recorder.gradients


def test_batches_whose_layers_wait_for_other_processes_are_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ranks, "total", lambda _, numbers: numbers)
    step, _, _ = step_on(4, norm="sync_batch", ranks=Ranks(0, 2))
    with pytest.raises(RequestError, match="sync_batch in several processes"):
        step.run([batch(8)], 0, 0, 0.1)


def test_what_paddle_says_is_understood() -> None:
    with pytest.raises((RuntimeError, SystemError, MemoryError)) as caught:
        paddle.zeros([2**40, 2**8])
    assert exhausted(caught.value)
    assert not exhausted(RuntimeError("InvalidArgument: shapes differ"))


@pytest.mark.parametrize(
    "error", [MemoryError(), SystemError("ResourceExhaustedError"), RuntimeError("dnnl_x: out of memory")]
)
def test_what_fails_in_a_backward_pass_is_understood(error: Exception) -> None:
    """Paddle gives an error there another type, and its text to that."""

    class Fails(PyLayer):
        @staticmethod
        def forward(context: Any, x: paddle.Tensor) -> paddle.Tensor:
            return x * 1.0

        @staticmethod
        def backward(context: Any, gradient: paddle.Tensor) -> paddle.Tensor:
            if gradient.shape[0] > 4:
                raise error
            return gradient * 1.0

    step, recorder, lines = step_on(None)
    step.model.head.register_forward_pre_hook(lambda _, given: (Fails.apply(given[0]),))
    assert step.run([batch(8)], 0, 0, 0.1)[0] == "go"
    assert lines == ["memory ran out; from here on every batch is cut into 2 parts"] and recorder.gradients


def test_another_error_is_not_hidden() -> None:
    step, _, _ = step_on(None)
    step.model.head.register_forward_post_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        step.run([batch(2)], 0, 0, 0.1)
