"""Hardware choice: the arithmetic on invented measurements, the cache on disk, the environment, one real probe."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ppresnet import hardware, hardware_probe
from ppresnet.errors import RequestError
from ppresnet.hardware_probe import MKL_VARIABLE, PRODUCTS, THREADS_VARIABLE, Measurement, ProbeCache, judge

TABLE = {(None, 1): 8.0, ("5", 1): 4.0, ("7", 1): 3.0, ("9", 1): 2.0, (None, 2): 6.0, ("5", 2): 3.0, ("9", 2): 1.0}


def took(mkl: str | None, threads: int, seconds: float = 0.0, **fields: object) -> Measurement:
    times = (seconds or TABLE.get((mkl, threads), 2.5),) * PRODUCTS
    return Measurement(mkl, threads, **{"seconds": times, **fields})  # type: ignore[arg-type]


def broken(mkl: str | None, threads: int, problem: str = "killed by SIGILL") -> Measurement:
    return Measurement(mkl, threads, problem=problem)


class CountingProber:
    """Answers from `TABLE`, or with what `answers` says, and remembers what it was asked."""

    def __init__(self, **fields: object) -> None:
        self.asked: list[tuple[str | None, int]] = []
        self.fields = fields

    def __call__(self, mkl: str | None, threads: int) -> Measurement:
        self.asked.append((mkl, threads))
        return took(mkl, threads, **self.fields)  # type: ignore[arg-type]


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CountingProber:
    """A process that has not imported Paddle, on a machine with two cores, MKL and an empty cache."""
    prober = CountingProber()
    for name in (MKL_VARIABLE, THREADS_VARIABLE):
        monkeypatch.setenv(name, "")  # so that what the code under test sets is undone
        monkeypatch.delenv(name)
    monkeypatch.delitem(sys.modules, "paddle", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    library = tmp_path / "libmklml_intel.so"
    library.write_bytes(b"")
    monkeypatch.setattr(hardware, "mkl_library", lambda: library)
    monkeypatch.setattr(hardware, "usable_cores", lambda: 2)
    monkeypatch.setattr(hardware, "measure", lambda _, mkl, threads: prober(mkl, threads))
    return prober


# --- choose


def test_fastest_wins_and_gain_is_the_ratio() -> None:
    choice = hardware.choose(took(None, 1), [took(*key) for key in TABLE])
    assert (choice.mkl, choice.threads, choice.gain) == ("9", 2, pytest.approx(8.0))


def test_gain_is_a_geometric_mean_over_the_products() -> None:
    stock, other = Measurement(None, 1, (1.0, 1.0)), Measurement("9", 1, (0.125, 0.5))
    assert hardware.gain_over(stock, other) == pytest.approx(4.0)


@pytest.mark.parametrize(("seconds", "expected"), [(7.7, None), (7.5, "9")])
def test_unset_wins_unless_another_is_clearly_faster(seconds: float, expected: str | None) -> None:
    assert hardware.choose(took(None, 1), [took(None, 1), took("9", 1, seconds)]).mkl == expected


@pytest.mark.parametrize(("seconds", "expected"), [(2.05, "9"), (2.2, "5")])
def test_newest_kernels_win_among_equals(seconds: float, expected: str) -> None:
    candidates = [took(None, 1), took("5", 1, 2.0), took("9", 1, seconds)]
    assert hardware.choose(took(None, 1), candidates).mkl == expected


@pytest.mark.parametrize(("seconds", "expected"), [(2.1, 1), (1.9, 2)])
def test_more_threads_only_when_faster(seconds: float, expected: int) -> None:
    candidates = [took(None, 1), took("9", 1), took(None, 2), took("9", 2, seconds)]
    assert hardware.choose(took(None, 1), candidates).threads == expected


def test_killed_candidate_is_ignored() -> None:
    choice = hardware.choose(took(None, 1), [took(None, 1), broken("9", 1), took("7", 1), broken("9", 2)])
    assert (choice.mkl, choice.threads) == ("7", 1)


def test_nothing_measurable_changes_nothing() -> None:
    candidates = [broken(None, 1), broken("9", 1), broken("9", 2)]
    assert hardware.choose(candidates[0], candidates) == hardware.Choice(None, 1, None)


def test_broken_stock_changes_nothing() -> None:
    assert hardware.choose(broken(None, 1), [took(None, 1), took("9", 2)]) == hardware.Choice(None, 1, None)


def test_decide_names_the_broken_candidates() -> None:
    def prober(mkl: str | None, threads: int) -> Measurement:
        return broken(mkl, threads) if mkl == "9" else took(mkl, threads)

    choice, why = hardware.decide(hardware.MKL_TYPES, (1,), prober)
    assert choice.mkl == "7"
    assert "type 9 killed by SIGILL" in why


# --- one probe process


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
    found = hardware_probe.measure(tmp_path / "none.so", None, 1, limit_s=0.001)
    assert "longer than" in found.problem
    assert not found.settled


def test_missing_library_is_a_problem(tmp_path: Path) -> None:
    found = hardware_probe.measure(tmp_path / "none.so", None, 1)
    assert "libiomp5.so: cannot open shared object file" in found.problem
    assert found.seconds == ()


def test_real_probe_agrees_with_float64_and_survives_a_bad_type() -> None:
    library = hardware.mkl_library()
    if library is None:
        pytest.skip("no MKL in this Paddle")
    plain = hardware_probe.measure(library, None, 1)
    assert plain.problem == ""
    assert len(plain.seconds) == PRODUCTS
    assert all(1e-6 < seconds < 1 for seconds in plain.seconds)
    assert 0 < plain.share < 1.2
    # MKLML knows no type 12 and ends the process.
    assert hardware_probe.measure(library, "12", 1).problem.startswith("exit code")


# --- cache


def test_cache_hit_measures_nothing(tmp_path: Path) -> None:
    path, first, second = tmp_path / "deep" / "hardware.json", CountingProber(), CountingProber()
    cache = ProbeCache("cpu", first, path)
    assert cache.measurement("9", 2) == cache.measurement("9", 2) == took("9", 2)
    assert cache.save() == f"kept in {path}"
    again = ProbeCache("cpu", second, path)
    assert again.measurement("9", 2) == took("9", 2)
    assert again.save() == "known from before"
    assert (first.asked, second.asked) == ([("9", 2)], [])


def test_cache_of_another_machine_is_a_miss_and_stays(tmp_path: Path) -> None:
    path, prober = tmp_path / "hardware.json", CountingProber()
    for identity in ("cpu a", "cpu b", "cpu a"):
        cache = ProbeCache(identity, prober, path)
        cache.measurement(None, 1)
        cache.save()
    assert len(prober.asked) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"version": 99, "machines": {}}',
        b'{"version": 1, "machines": []}',
        b"[" * 100_000,
    ],
)
def test_corrupt_or_foreign_cache_is_rewritten(tmp_path: Path, content: bytes) -> None:
    path, prober = tmp_path / "hardware.json", CountingProber()
    path.write_bytes(content)
    cache = ProbeCache("cpu", prober, path)
    cache.measurement(None, 1)
    cache.save()
    assert prober.asked == [(None, 1)]
    assert ProbeCache("cpu", prober, path).measurement(None, 1) == took(None, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"seconds": []},
        {"seconds": [-1.0] * PRODUCTS},
        {"seconds": ["1"] * PRODUCTS},
        {"seconds": None},
        {"threads": "2"},
        {"mkl": 9},
        {"surplus": 1},
    ],
)
def test_implausible_entry_is_a_miss(tmp_path: Path, change: dict[str, object]) -> None:
    path, prober = tmp_path / "hardware.json", CountingProber()
    cache = ProbeCache("cpu", prober, path)
    cache.measurement(None, 1)
    cache.save()
    content = json.loads(path.read_text())
    (entries,) = content["machines"].values()
    entries[0] |= change
    path.write_text(json.dumps(content))
    ProbeCache("cpu", prober, path).measurement(None, 1)
    assert len(prober.asked) == 2


def test_busy_measurement_is_made_three_times_and_merged(tmp_path: Path) -> None:
    path, asked = tmp_path / "hardware.json", 0
    for seconds in (3.0, 1.0, 2.0, 0.5):
        prober = CountingProber(seconds=seconds, share=0.5)
        cache = ProbeCache("cpu", prober, path)
        found = cache.measurement("9", 1)
        cache.save()
        asked += len(prober.asked)
    assert (asked, found.rounds, found.seconds[0]) == (3, 3, 1.0)


def test_time_out_after_a_good_round_keeps_the_good_one() -> None:
    merged = took("9", 1, share=0.5).merged(broken("9", 1, "took longer than 20 s"))
    assert (merged.problem, merged.seconds, merged.rounds) == ("", (2.0,) * PRODUCTS, 2)


def test_unwritable_cache_is_said_and_harmless(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = ProbeCache("cpu", CountingProber(), tmp_path / "file" / "hardware.json")
    assert cache.measurement("9", 1) == took("9", 1)
    assert cache.save().startswith("not kept for the next run: ")


def test_cache_path_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert hardware_probe.cache_path() == tmp_path / "ppresnet" / "hardware.json"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert hardware_probe.cache_path() == tmp_path / ".cache" / "ppresnet" / "hardware.json"


# --- prepare


def test_prepare_sets_the_environment(fresh: CountingProber) -> None:
    found = hardware.prepare("cpu")
    assert (found.mkl_cpu_type, found.threads, found.device) == ("9", 2, "cpu")
    assert (os.environ[MKL_VARIABLE], os.environ[THREADS_VARIABLE]) == ("9", "2")
    assert set(fresh.asked) == {(mkl, threads) for mkl in hardware.MKL_TYPES for threads in (1, 2)}
    assert "MKL type 9 (matrix products 8.0 times the default here), 2 threads" in found.describe()
    assert "\n" not in found.describe()


def test_prepare_leaves_mkl_unset_where_it_does_not_help(
    fresh: CountingProber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "measure", lambda _, mkl, threads: took(mkl, threads, 1.0))
    assert hardware.prepare("cpu").mkl_cpu_type is None
    assert MKL_VARIABLE not in os.environ
    assert os.environ[THREADS_VARIABLE] == "1"


def test_mkl_type_of_the_user_is_kept(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MKL_VARIABLE, "5")
    found = hardware.prepare("cpu")
    assert (found.mkl_cpu_type, found.threads, os.environ[MKL_VARIABLE]) == ("5", 2, "5")
    assert "MKL_DEBUG_CPU_TYPE=5 kept" in found.reason
    assert set(fresh.asked) == {(None, 1), ("5", 1), ("5", 2)}


def test_threads_of_the_environment_are_kept(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS_VARIABLE, "1")
    found = hardware.prepare("cpu")
    assert (found.mkl_cpu_type, found.threads) == ("9", 1)
    assert "OMP_NUM_THREADS=1 kept" in found.reason
    assert {threads for _, threads in fresh.asked} == {1}


def test_asked_for_threads_win_over_the_environment(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS_VARIABLE, "1")
    assert hardware.prepare("cpu", 2).threads == 2
    assert os.environ[THREADS_VARIABLE] == "2"


def test_both_given_needs_no_measuring(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MKL_VARIABLE, "")
    found = hardware.prepare("cpu", 3)
    assert (found.mkl_cpu_type, found.threads, os.environ[MKL_VARIABLE], fresh.asked) == (None, 3, "", [])


def test_no_mkl_library_keeps_paddles_defaults(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "mkl_library", lambda: None)
    found = hardware.prepare("cpu")
    assert (found.mkl_cpu_type, found.threads, fresh.asked) == (None, 1, [])


def test_imported_paddle_is_left_alone(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paddle", sys)
    found = hardware.prepare("cpu", 2)
    assert "imported before" in found.reason
    assert found.threads == 1
    assert THREADS_VARIABLE not in os.environ
    assert fresh.asked == []


@pytest.mark.parametrize("threads", [0, -1, 1.5, "two", True])
def test_bad_threads_are_refused(fresh: CountingProber, threads: object) -> None:
    with pytest.raises(RequestError, match=r"threads: expected .* found"):
        hardware.prepare("cpu", threads)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cores", "expected"), [(1, (1,)), (2, (1, 2)), (4, (1, 4)), (6, (1, 4, 6)), (64, (1, 4, 16, 64))]
)
def test_thread_counts(cores: int, expected: tuple[int, ...]) -> None:
    assert hardware.thread_counts(cores) == expected


# --- device


def with_gpu_paddle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.6.2")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_gpu_needs_paddle_device_and_visibility(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_gpu_paddle(monkeypatch)
    assert "no NVIDIA device" in hardware.missing_for_gpu(tmp_path)
    (tmp_path / "nvidia0").touch()
    assert hardware.missing_for_gpu(tmp_path) == ""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert "hides every GPU" in hardware.missing_for_gpu(tmp_path)


def test_gpu_asked_for_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "missing_for_gpu", lambda: "that paddlepaddle-gpu is not installed")
    with pytest.raises(RequestError, match="expected a GPU, found that paddlepaddle-gpu"):
        hardware.choose_device("gpu")
    assert hardware.choose_device("auto") == "cpu"


def test_gpu_measures_no_cpu_kernels(fresh: CountingProber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "missing_for_gpu", lambda: "")
    assert hardware.prepare("auto").device == "gpu"
    assert fresh.asked == []


def test_unknown_device_is_refused() -> None:
    with pytest.raises(RequestError, match="found 'tpu'"):
        hardware.choose_device("tpu")


# --- machine


def test_physical_cores_count_siblings_once(tmp_path: Path) -> None:
    for processor, core in enumerate((0, 1, 0, 1)):
        topology = tmp_path / f"cpu{processor}" / "topology"
        topology.mkdir(parents=True)
        (topology / "core_id").write_text(f"{core}\n")
        (topology / "physical_package_id").write_text("0\n")
    assert hardware.physical_cores({0, 1, 2, 3}, tmp_path) == 2
    assert hardware.physical_cores({0, 2}, tmp_path) == 1
    assert hardware.physical_cores({7, 8}, tmp_path) == 2


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_affinity_limits_the_cores() -> None:
    one = min(os.sched_getaffinity(0))
    program = (
        f"import os; os.sched_setaffinity(0, {{{one}}}); from ppresnet import hardware; print(hardware.usable_cores())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/a/b", {"cpu.max": "max 100000", "a/cpu.max": "150000 100000", "a/b/cpu.max": "400000 100000"}, 1.5),
        ("0::/gone", {"cpu.max": "200000 100000"}, 2.0),
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("4:cpu,cpuacct:/x\n0::/", {"cpu/x/cpu.cfs_quota_us": "50000", "cpu/x/cpu.cfs_period_us": "100000"}, 0.5),
        ("4:memory:/x\n1:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
    ],
)
def test_cpu_quota(tmp_path: Path, membership: str, files: dict[str, str], expected: float | None) -> None:
    (tmp_path / "membership").write_text(membership + "\n")
    for name, text in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text + "\n")
    assert hardware.cpu_quota(tmp_path / "membership", tmp_path / "root") == expected


def test_quota_limits_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "physical_cores", lambda _: 8)
    for quota, expected in ((None, 8), (0.5, 1), (2.9, 2), (64.0, 8)):
        monkeypatch.setattr(hardware, "cpu_quota", lambda quota=quota: quota)
        assert hardware.usable_cores() == expected


def test_peak_memory_is_this_process_own() -> None:
    ballast = bytearray(300 * 2**20)
    assert hardware.peak_memory_mb() >= len(ballast) / 2**20
    program = "from ppresnet import hardware; print(hardware.peak_memory_mb())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 5 < float(done.stdout) < 250


def test_machine_names_cpu_and_cores() -> None:
    assert hardware.cpu_model() in hardware.machine()
    assert f"{hardware.usable_cores()} core" in hardware.machine()


def test_hardware_imports_no_paddle() -> None:
    program = "import sys; from ppresnet import hardware; hardware.mkl_library(); print('paddle' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_one_warning_is_silenced_by_its_text() -> None:
    program = (
        "import warnings; warnings.simplefilter('error'); from ppresnet import hardware;"
        "hardware.import_paddle();"
        "warnings.warn('No ccache found. Please be aware'); print('quiet'); warnings.warn('No other')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "quiet\n"
    assert "UserWarning: No other" in done.stderr
