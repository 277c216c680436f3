"""Every model of the zoo in every format, each by its own runtime.

To be quick, networks for 224 pixels get 64 and those for 32 get 16, and a stage keeps its first 36 blocks: of the 600
blocks of `cifar_resnet1202` that leaves 108. (The whole of it freezes in minutes, and oneDNN was not seen to finish.)
Vision transformers keep two blocks. Networks with adaptive solvers are refused; `tests/models/test_ode.py` sees that.
"""

import json
import re
from pathlib import Path

import numpy as np
import paddle
import pytest
from jury import Jury

from ppresnet.checkpoint import Checkpoint
from ppresnet.checkpoint.state import weights_of
from ppresnet.config import from_dict
from ppresnet.export.golden import random_inputs
from ppresnet.export.onnx import can_convert
from ppresnet.export.parity import check_parity
from ppresnet.export.stage import subject_of, write_files
from ppresnet.models import build
from ppresnet.paddle_api import has_json
from ppresnet.spec import MODELS, AdaptiveSpec, ModelSpec, ODENetSpec, PreActSpec, ResNetSpec, ViTSpec, spec_of

FORMATS = (*(("json",) if has_json() else ()), "pdmodel", *(("onnx",) if can_convert() else ()))
MOST_BLOCKS = 36  # of a stage
ROWS = {"json": 4, "pdmodel": 4, "onnx": 2}


def _has_fixed_steps(name: str) -> bool:
    spec = spec_of(name)
    return not (isinstance(spec, ODENetSpec) and isinstance(spec.solver, AdaptiveSpec))


def _shortened(spec: ModelSpec) -> ModelSpec:
    if isinstance(spec, ViTSpec):
        return spec.model_copy(update={"blocks": spec.blocks[:2]})
    if not isinstance(spec, ResNetSpec | PreActSpec):
        return spec
    return spec.model_copy(update={"stages": tuple(stage[:MOST_BLOCKS] for stage in spec.stages)})


@pytest.mark.slow
@pytest.mark.parametrize("name", list(filter(_has_fixed_steps, MODELS)))
def test_every_format_answers_as_the_network(name: str, tmp_path: Path) -> None:
    paddle.seed(1)
    size = 16 if name.startswith("cifar") else 64
    model = build(_shortened(spec_of(name, num_classes=10, input_size=size)))
    data = {"input_size": size, "mean": [0.5] * 3, "std": [0.25] * 3}
    config = from_dict({"name": name, "model": {"name": name, "num_classes": 10, "in_channels": 3}, "data": data})
    spec = json.loads(model.spec.model_dump_json())
    weights = weights_of(model)
    for key in weights:
        # Without the statistics of training, 600 blocks that each double the variance overflow in the network itself.
        if re.search(r"branch\.[12]\.norm\.weight$", key):
            weights[key] = weights[key] * np.float32(0.1)
    checkpoint = Checkpoint(weights, {}, {}, spec, config.model_dump(mode="json"), {})
    del model
    subject = subject_of(checkpoint, tmp_path, config)
    inputs = random_inputs(4, subject.preprocess)
    assert np.isfinite(subject.logits(inputs)).all()
    write_files(subject, tmp_path, FORMATS, inputs)
    with Jury(tmp_path) as jury:
        rows = check_parity(subject.logits, jury.candidates(FORMATS), {"random": inputs})
    assert [f"{row.format} {row.runtime}: {row.status}" for row in rows if row.status != "ok"] == []
    assert len(rows) == sum(ROWS[format] for format in FORMATS)
    assert max(row.rel_diff or 0 for row in rows) <= 1e-4
