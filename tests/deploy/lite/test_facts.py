"""What Paddle Lite 2.12 does wrong without a word. When one of these tests fails, the refusal of it can go."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deploy.lite.audit import audit
from deploy.lite.conversion import Source
from deploy.lite.options import Options
from deploy.lite.process import WorkerError, ask
from deploy.lite.program import kernels_in
from deploy.lite.prove import compare
from deploy.lite.reader import read_program
from ppresnet.bundle import Bundle

Convert = Callable[[str, str], tuple[Path, Path]]


def run_blindly(python: Path, nb: Path, bundle: Bundle, folder: Path) -> np.ndarray:
    """Run an .nb without the question for which device it is."""
    np.save(folder / "inputs.npy", bundle.golden()[0])
    request = {"do": "run", "nb": str(nb), "inputs": str(folder / "inputs.npy"), "outputs": str(folder / "outputs.npy")}
    ask(python, {**request, "batch": 4}, 120)
    return np.load(folder / "outputs.npy")


def is_wrong(python: Path, nb: Path, bundle: Bundle, folder: Path) -> bool:
    found = run_blindly(python, nb, bundle, folder)
    return compare("lite", "fp32", 4, found, bundle.golden()[1], 1e-1).status != "ok"


def problems(folder: Path, nb: Path, bundle: Bundle, options: Options) -> str:
    program = read_program((folder / "model").read_bytes(), "it")
    return "\n".join(audit(program, bundle.deploy.sites, options, kernels_in(nb.read_bytes())).problems)


@pytest.mark.parametrize("target", ["arm,opencl", "x86,opencl"])
def test_these_orders_lose_the_additions_and_the_audit_sees_it(convert: Convert, bundle: Bundle, target: str) -> None:
    nb, folder = convert(target, "fp32")
    assert "should add a residual, which its" in problems(folder, nb, bundle, Options(target))


def test_the_lost_additions_make_other_answers(convert: Convert, python: Path, bundle: Bundle, tmp_path: Path) -> None:
    assert is_wrong(python, convert("x86,opencl", "fp32")[0], bundle, tmp_path)
    assert not is_wrong(python, convert("x86", "fp32")[0], bundle, tmp_path)


@pytest.mark.parametrize("precision", ["int8-weights", "int16-weights"])
def test_quantised_weights_are_wrong_on_x86(
    convert: Convert, python: Path, bundle: Bundle, tmp_path: Path, precision: str
) -> None:
    assert is_wrong(python, convert("x86", precision)[0], bundle, tmp_path)


def test_an_arm_network_runs_on_x86_and_returns_rubbish(
    convert: Convert, python: Path, bundle: Bundle, tmp_path: Path
) -> None:
    assert is_wrong(python, convert("arm", "fp32")[0], bundle, tmp_path)


def test_fp16_changes_no_kernel_on_x86(convert: Convert) -> None:
    assert kernels_in(convert("x86", "fp16")[0].read_bytes()) == kernels_in(convert("x86", "fp32")[0].read_bytes())


def test_fp16_aborts_on_opencl(source: Source, tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="SIGABRT"):
        source.nb(Options("opencl,arm", "fp16"), tmp_path / "model")


def test_json_programs_abort(source: Source, bundle: Bundle, tmp_path: Path) -> None:
    if "json" not in bundle.formats:
        pytest.skip("this Paddle writes no .json")
    with pytest.raises(WorkerError, match="SIGABRT"):
        Source(source.python, bundle.file("inference.json"), source.params).nb(Options("arm"), tmp_path / "model")


def test_targets_with_a_space_abort(source: Source, tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"SIGABRT(?s:.)*Wrong target"):
        source.nb(Options("opencl, arm"), tmp_path / "model")
