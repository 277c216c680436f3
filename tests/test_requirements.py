"""The locks are exact, hashed, agree with pyproject.toml and leave out what must not be there."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-paddle26.lock", "requirements-lite.lock")


def blocks(name: str) -> list[str]:
    """One string per locked package: its pin, marker and hashes."""
    text = re.sub(r"^#.*\n", "", ROOT.joinpath(name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return text.replace("\\\n", " ").splitlines()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_and_hashed(lock: str) -> None:
    wrong = [line for line in blocks(lock) if not re.match(r"[a-z0-9-]+==[\w.]+ .*--hash=sha256:[0-9a-f]{64}", line)]
    assert wrong == []
    assert len(blocks(lock)) >= 2


@pytest.mark.parametrize(("lock", "paddle"), [("requirements.lock", "3.3.1"), ("requirements-paddle26.lock", "2.6.2")])
def test_locks_hold_the_versions_that_go_together(lock: str, paddle: str) -> None:
    pins = dict(line.split(" ")[0].split("==") for line in blocks(lock) if "sys_platform == 'win32'" not in line)
    assert pins["paddlepaddle"] == paddle
    assert pins["numpy"].startswith("1.26.")
    assert pins["pandas"].startswith("2.")
    assert pins["onnx"] == "1.17.0"
    assert (pins["paddleslim"], pins["visualdl"]) == ("2.6.0", "2.5.3")


def test_every_exact_pin_of_the_project_is_in_a_lock() -> None:
    text = ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8")
    pins = set(re.findall(r'"([a-z0-9-]+==[\d.]+)"', text)) - {"paddlepaddle-gpu==2.6.2"}
    locked = {line.split(" ")[0] for lock in LOCKS for line in blocks(lock)}
    assert pins - locked == set()


def test_nothing_reports_to_its_maker() -> None:
    """`import openvino` sends usage data when openvino-telemetry is there (2026.4), and uses a stub when not."""
    assert [line for lock in LOCKS for line in blocks(lock) if line.startswith("openvino-telemetry")] == []


@pytest.mark.skipif(importlib.util.find_spec("openvino_telemetry") is not None, reason="not the locked environment")
def test_openvino_works_without_its_telemetry() -> None:
    openvino = pytest.importorskip("openvino")
    assert "CPU" in openvino.Core().available_devices
