"""The CPU, named."""

from ppresnet.hardware.cores import usable_cores
from ppresnet.hardware.cpu import cpu_model, machine


def test_machine_names_cpu_and_cores() -> None:
    assert cpu_model() in machine()
    assert f"{usable_cores()} core" in machine()
