"""The machine of tests that train: nothing of it is measured."""

from ppresnet.hardware import Hardware

MACHINE = Hardware(cpu="a CPU", mkl_cpu_type=None, threads=1, device="cpu", reason="a test")
