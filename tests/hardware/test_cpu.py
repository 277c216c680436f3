"""The CPU, named."""

import platform
import re
from pathlib import Path

import pytest

from ppresnet.hardware import cpu

CPUINFO = Path("/proc/cpuinfo")


@pytest.mark.skipif(not CPUINFO.is_file(), reason="no /proc/cpuinfo on this system")
def test_the_model_is_what_the_kernel_says() -> None:
    named = re.search(r"^model name\s*: (.*?)\s*$", CPUINFO.read_text(), re.MULTILINE)
    assert cpu.cpu_model() == (named[1] if named else platform.processor() or platform.machine())


@pytest.mark.parametrize(("cores", "said"), [(1, "1 core"), (4, "4 cores")])
def test_a_machine_is_its_cpu_its_cores_and_its_system(monkeypatch: pytest.MonkeyPatch, cores: int, said: str) -> None:
    monkeypatch.setattr(cpu, "cpu_model", lambda: "A CPU")
    monkeypatch.setattr(cpu, "usable_cores", lambda: cores)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert cpu.machine() == f"A CPU, {said}, Linux x86_64"
