"""Networks of the zoo, converted and proved; small images, the widths and depths as published."""

from pathlib import Path

import pytest
import zoo_bundles

from deploy.lite.audit import audit
from deploy.lite.conversion import Source
from deploy.lite.options import Options
from deploy.lite.program import kernels_in
from deploy.lite.prove import failures, prove_nb
from deploy.lite.reader import read_program
from ppresnet.bundle import PARAMS, PDMODEL, read_bundle
from ppresnet.spec import MODELS

SIZES = {
    "cifar_resnet20": 32,
    "resnet18": 64,
    "resnet50": 64,
    "resnext50_32x4d": 64,
    "seresnet50": 64,
    "densenet121": 64,
    "lcnet_100": 64,
}
# From the architecture: all convolutions; those before a relu and no sum; residual sums, each with its relu.
COUNTS = {
    "cifar_resnet20": (21, 10, 9),
    "resnet18": (20, 9, 8),
    "resnet50": (53, 33, 16),
    "resnext50_32x4d": (53, 33, 16),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_the_zoo_converts_and_x86_agrees(python: Path, tmp_path: Path, name: str) -> None:
    if name not in MODELS:
        pytest.skip(f"{name} is not in the zoo yet")
    bundle = read_bundle(zoo_bundles.zoo_bundle(name, tmp_path / "bundle", SIZES[name]))
    source = Source(python, bundle.file(PDMODEL), bundle.file(PARAMS))
    for target in ("arm", "x86", "opencl,arm"):
        options = Options(target)
        nb = source.nb(options, tmp_path / "model")
        program = read_program((source.protobuf(options, tmp_path / target) / "model").read_bytes(), "it")
        found = audit(program, bundle.deploy.sites, options, kernels_in(nb.read_bytes()))
        assert found.problems == (), target
        assert found.batch_norms == 0 or name == "densenet121", "only DenseNet has BatchNorm before a convolution"
        if name in COUNTS:
            convs, with_act, sums = COUNTS[name]
            # On OpenCL a bottleneck ends in a 1 x 1 convolution, which takes the sum; a basic block does not.
            fused = sums if target == "opencl,arm" and "50" in name else 0
            numbers = (found.convs, found.with_act, found.with_residual, found.added)
            assert numbers == (convs, with_act, fused, sums - fused), target
            assert (found.batch_norms, found.lone_adds, found.lone_acts) == (0, 0, {}), target
        if target == "x86":
            rows = prove_nb(python, nb, bundle.golden())
            assert failures(rows) == []
            assert max(row.rel_diff or 0 for row in rows) <= 1e-4
