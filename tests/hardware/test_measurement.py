"""One candidate measured: what its process leaves behind, two rounds as one, one real probe."""

import json
from pathlib import Path

import pytest
from invented_times import broken, took

from ppresnet.hardware.library import mkl_library
from ppresnet.hardware.measurement import judge, measure
from ppresnet.hardware.probe import PRODUCTS


def test_judge_refuses_a_wrong_result() -> None:
    output = json.dumps({"seconds": [1.0] * PRODUCTS, "share": 1.0, "error": 0.01})
    assert judge("9", 1, 0, output, "").problem.startswith("wrong result")
    assert judge("9", 1, 0, output.replace("0.01", "NaN"), "").problem.startswith("wrong result")
    assert judge("9", 1, 0, output.replace("0.01", "1e-6"), "").problem == ""


def test_judge_names_the_signal_and_the_last_line() -> None:
    assert judge("8", 1, -4, "", "").problem == "killed by SIGILL"
    assert judge("12", 1, 1, "", "\nIntel MKL ERROR: CPU 12\n").problem == "exit code 1: Intel MKL ERROR: CPU 12"
    assert judge("9", 1, 0, "", "").problem == "exit code 0: no output"


def test_time_limit_is_a_problem_and_is_tried_again(tmp_path: Path) -> None:
    found = measure(tmp_path / "none.so", None, 1, limit_s=0.001)
    assert "longer than" in found.problem
    assert not found.settled


def test_missing_library_is_a_problem(tmp_path: Path) -> None:
    found = measure(tmp_path / "none.so", None, 1)
    assert "libiomp5.so: cannot open shared object file" in found.problem
    assert found.seconds == ()


def test_real_probe_agrees_with_float64_and_survives_a_bad_type() -> None:
    library = mkl_library()
    if library is None:
        pytest.skip("no MKL in this Paddle")
    plain = measure(library, None, 1)
    assert plain.problem == ""
    assert len(plain.seconds) == PRODUCTS
    assert all(1e-6 < seconds < 1 for seconds in plain.seconds)
    assert 0 < plain.share < 1.2
    # MKLML knows no type 12 and ends the process.
    assert measure(library, "12", 1).problem.startswith("exit code")


def test_time_out_after_a_good_round_keeps_the_good_one() -> None:
    merged = took("9", 1, share=0.5).merged(broken("9", 1, "took longer than 20 s"))
    assert (merged.problem, merged.seconds, merged.rounds) == ("", (2.0,) * PRODUCTS, 2)
