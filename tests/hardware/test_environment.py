"""What `prepare` puts into the environment, and what it leaves as the user set it."""

import os
import sys

import pytest
from invented_times import CountingProber, took

from ppresnet.errors import RequestError
from ppresnet.hardware import device, environment
from ppresnet.hardware.choice import MKL_TYPES
from ppresnet.hardware.environment import prepare
from ppresnet.hardware.probe import MKL_VARIABLE, THREADS_VARIABLE


def test_prepare_sets_the_environment(fresh: CountingProber) -> None:
    found = prepare("cpu")
    assert (found.mkl_cpu_type, found.threads, found.device) == ("9", 2, "cpu")
    assert (os.environ[MKL_VARIABLE], os.environ[THREADS_VARIABLE]) == ("9", "2")
    assert set(fresh.asked) == {(mkl, threads) for mkl in MKL_TYPES for threads in (1, 2)}
    assert "MKL type 9 (matrix products 8.0 times the default here), 2 threads" in found.describe()
    assert "\n" not in found.describe()


def test_prepare_leaves_mkl_unset_where_it_does_not_help(
    fresh: CountingProber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "measure", lambda _, mkl, threads: took(mkl, threads, 1.0))
    assert prepare("cpu").mkl_cpu_type is None
    assert MKL_VARIABLE not in os.environ
    assert os.environ[THREADS_VARIABLE] == "1"


def test_mkl_type_of_the_user_is_kept(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MKL_VARIABLE, "5")
    found = prepare("cpu")
    assert (found.mkl_cpu_type, found.threads, os.environ[MKL_VARIABLE]) == ("5", 2, "5")
    assert "MKL_DEBUG_CPU_TYPE=5 kept" in found.reason
    assert set(fresh.asked) == {(None, 1), ("5", 1), ("5", 2)}


def test_threads_of_the_environment_are_kept(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS_VARIABLE, "1")
    found = prepare("cpu")
    assert (found.mkl_cpu_type, found.threads) == ("9", 1)
    assert "OMP_NUM_THREADS=1 kept" in found.reason
    assert {threads for _, threads in fresh.asked} == {1}


def test_asked_for_threads_win_over_the_environment(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS_VARIABLE, "1")
    assert prepare("cpu", 2).threads == 2
    assert os.environ[THREADS_VARIABLE] == "2"


def test_both_given_needs_no_measuring(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MKL_VARIABLE, "")
    found = prepare("cpu", 3)
    assert (found.mkl_cpu_type, found.threads, os.environ[MKL_VARIABLE], fresh.asked) == (None, 3, "", [])


def test_no_mkl_library_keeps_paddles_defaults(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "mkl_library", lambda: None)
    found = prepare("cpu")
    assert (found.mkl_cpu_type, found.threads, fresh.asked) == (None, 1, [])


def test_imported_paddle_is_left_alone(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paddle", sys)
    found = prepare("cpu", 2)
    assert "imported before" in found.reason
    assert found.threads == 1
    assert THREADS_VARIABLE not in os.environ
    assert fresh.asked == []


@pytest.mark.parametrize("threads", [0, -1, 1.5, "two", True])
def test_bad_threads_are_refused(fresh: CountingProber, threads: object) -> None:
    with pytest.raises(RequestError, match=r"threads: expected .* found"):
        prepare("cpu", threads)  # type: ignore[arg-type]


def test_gpu_measures_no_cpu_kernels(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "missing_for_gpu", lambda: "")
    assert prepare("auto").device == "gpu"
    assert fresh.asked == []
