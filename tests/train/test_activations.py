"""The model of activation memory: against sums by hand, and against what a step really takes (slow)."""

import json
import subprocess
import sys

import paddle
import pytest

from ppresnet.config import from_dict
from ppresnet.errors import ConfigError
from ppresnet.models import build
from ppresnet.spec import spec_of
from ppresnet.train.activations import MB, Activations, measure_activations, segments_for
from ppresnet.train.ranks import Ranks
from ppresnet.train.start import assemble_step

# Two stages of four blocks: inputs of 10 and 5 bytes, 100 and 50 inside.
BY_HAND = Activations([[(10, 100)] * 4, [(5, 50)] * 4], rest=7)


@pytest.mark.parametrize(
    ("every", "peak"), [(0, 7 + 600), (1, 7 + 40 + 20 + 100), (2, 7 + 20 + 10 + 200), (3, 7 + 20 + 10 + 300), (4, 422)]
)
def test_peak_is_the_kept_inputs_and_one_segment(every: int, peak: int) -> None:
    assert BY_HAND.peak(every) == peak


@pytest.mark.parametrize(("every", "spared"), [(1, 2), (2, 2), (3, 3), (4, 1)])
def test_the_last_segments_are_spared_while_they_hold_no_more_than_the_largest(every: int, spared: int) -> None:
    assert BY_HAND.spared(every) == spared


def test_the_segments_that_fit_a_budget() -> None:
    # 607 bytes and 2.2 times as many in all, or 167 and 3.4 times.
    assert segments_for(BY_HAND, MB, 1336) == 0
    assert segments_for(BY_HAND, MB, 1335) == 1
    with pytest.raises(ConfigError, match=r"expected at least 568.*recompute.every=1, found 567"):
        segments_for(BY_HAND, MB, 567)


def test_layers_are_measured_for_one_image() -> None:
    model = build(spec_of("cifar_resnet20", in_channels=3))
    model.train()
    found = measure_activations(model, paddle.zeros([2, 3, 32, 32]))
    first = 16 * 32 * 32 * 4
    assert model.training
    assert [len(stage) for stage in found.stages] == [3, 3, 3]
    assert found.stages[0][0] == (first, 4 * first)  # two convolutions, two activations
    assert found.rest == 2 * first + 64 * 4 + 10 * 4  # the stem, pooled features, logits
    assert found.stages[2][1][1] * 4 == found.stages[0][1][1]


def test_the_budget_is_for_the_images_of_one_process() -> None:
    config = from_dict({"recompute": {"budget_mb": 45}, "train": {"batch_size": 256}})
    spec = spec_of("cifar_resnet20", in_channels=1, input_size=8)
    said: list[str] = []
    for size in (1, 4):
        assemble_step(config, spec, None, None, said.append, ranks=Ranks(0, size))
    assert [line.removesuffix(", so that a step takes at most 45 MB") for line in said] == [
        "recompute: segments of 1 blocks",
        "recompute: nothing",
    ]


MEASURE = """
import json, sys
from ppresnet import hardware
hardware.import_paddle()
import paddle
from ppresnet import onednn
from ppresnet.models import create
from ppresnet.train.kernels import COMPOSITES
from ppresnet.train.activations import MB, measure_activations, segments_for
from ppresnet.train.recompute import recompute_blocks
kernels, budget = sys.argv[1], int(sys.argv[2])
onednn.enable(kernels, "float32", **COMPOSITES)
model = create("cifar_resnet56", in_channels=3)
model.train()
images = paddle.randn([64, 3, 32, 32])
activations = measure_activations(model, images)
every = segments_for(activations, 64, budget)
recompute_blocks(model, every, activations.spared(every) if every else 0)
before = hardware.peak_memory_mb()
for _ in range(2):
    model(images).sum().backward()
taken = hardware.peak_memory_mb() - before
print(json.dumps({"every": every, "counted": activations.peak(every) * 64 / MB, "taken": taken}))
"""


def measured(kernels: str, budget_mb: int) -> dict[str, float]:
    command = [sys.executable, "-c", MEASURE, kernels, str(budget_mb)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_a_step_takes_about_what_is_counted() -> None:
    found = measured("disabled", 9999)
    assert found["every"] == 0
    assert found["counted"] * 0.8 <= found["taken"] <= found["counted"] * 1.6


@pytest.mark.slow
@pytest.mark.parametrize("kernels", ["disabled", "auto"])
def test_a_step_keeps_to_its_budget(kernels: str) -> None:
    plenty, little = (measured(kernels, budget) for budget in (600, 300))
    assert plenty["every"] == 0 and 300 < plenty["taken"] <= 600
    assert little["every"] and little["taken"] <= 300
