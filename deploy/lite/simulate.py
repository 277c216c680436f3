"""What a quantised program answers in float arithmetic: Lite's int8 kernels for x86 give NaN, so none can run here."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deploy.lite.prove import LIMITS, ProofRow, compare
from ppresnet.errors import CheckFailedError


def simulate(program: Path, params: Path, golden: tuple[NDArray[np.float32], NDArray[np.float32]]) -> list[ProofRow]:
    """Run a quantised program with Paddle Inference, whose native kernels round as it says, and compare.

    Args:
        program: a `.pdmodel` with quantisation operators.
        params: its `.pdiparams`.
        golden: inputs [n, channels, size, size] and logits [n, classes] of the float network.
    """
    from deploy.inference import Runtime, Session

    images, expected = golden
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(program, Path(folder) / "inference.pdmodel")
        shutil.copyfile(params, Path(folder) / "inference.pdiparams")
        try:
            found = Session(folder, Runtime("native", format="pdmodel", simulated=True))(images)
        except CheckFailedError:
            found = np.full_like(expected, np.nan)
    runtime = "paddle inference, quantised program"
    return [compare(runtime, "int8", len(images), found, expected, LIMITS["int8"])]
