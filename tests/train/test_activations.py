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


def test_the_segments_that_fit_a_budget() -> None:
    assert segments_for(BY_HAND, MB, 607) == 0
    assert segments_for(BY_HAND, MB, 606) == 1
    with pytest.raises(ConfigError, match=r"expected at least 167.*recompute.every=1, found 166"):
        segments_for(BY_HAND, MB, 166)


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
    config = from_dict({"recompute": {"budget_mb": 20}, "train": {"batch_size": 256}})
    spec = spec_of("cifar_resnet20", in_channels=1, input_size=8)
    said: list[str] = []
    for size in (1, 4):
        assemble_step(config, spec, None, None, said.append, ranks=Ranks(0, size))
    assert [line.removesuffix(", to fit 20 MB of activations") for line in said] == [
        "recompute: segments of 1 blocks",
        "recompute: nothing",
    ]


MEASURE = """
import json, sys
from ppresnet import hardware
hardware.import_paddle()
import paddle
from ppresnet.models import create
from ppresnet.train.activations import measure_activations
model = create("cifar_resnet56", in_channels=3)
images = paddle.randn([64, 3, 32, 32])
predicted = measure_activations(model, images).peak(0) * 64 / 2**20
model.train()
before = hardware.peak_memory_mb()
model(images).sum().backward()
print(json.dumps([predicted, hardware.peak_memory_mb() - before]))
"""


@pytest.mark.slow
def test_a_step_takes_about_what_is_predicted() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    predicted, taken = json.loads(done.stdout.splitlines()[-1])
    assert predicted * 0.6 <= taken <= predicted * 1.4
