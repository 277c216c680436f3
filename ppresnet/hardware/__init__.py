"""What this machine is: the MKL kernels, the threads and the device to use, decided before `import paddle`.

On the CPU, Paddle (2.6 to 3.3) multiplies matrices with MKLML of 2019, which takes its slowest kernels on a CPU that
Intel did not make. MKL_DEBUG_CPU_TYPE, read once when that library starts, names better ones. Which is best depends on
the CPU, so it is measured by `probe`, once a machine; what the user set in the environment is kept.
"""

from ppresnet.hardware.cache import ProbeCache
from ppresnet.hardware.choice import Choice, choose, decide, gain_over, thread_counts
from ppresnet.hardware.cores import cpu_quota, physical_cores, usable_cores
from ppresnet.hardware.cpu import cpu_identity, cpu_model, machine
from ppresnet.hardware.device import choose_device, missing_for_gpu
from ppresnet.hardware.environment import Hardware, prepare
from ppresnet.hardware.library import library_identity, mkl_library, paddle_version
from ppresnet.hardware.measurement import Measurement, measure
from ppresnet.hardware.memory import peak_memory_mb
from ppresnet.hardware.paddle_import import as_before, import_paddle, start
from ppresnet.hardware.place import Place, place
from ppresnet.hardware.probe import MKL_VARIABLE, THREADS_VARIABLE

__all__ = [
    "MKL_VARIABLE",
    "THREADS_VARIABLE",
    "Choice",
    "Hardware",
    "Measurement",
    "Place",
    "ProbeCache",
    "as_before",
    "choose",
    "choose_device",
    "cpu_identity",
    "cpu_model",
    "cpu_quota",
    "decide",
    "gain_over",
    "import_paddle",
    "library_identity",
    "machine",
    "measure",
    "missing_for_gpu",
    "mkl_library",
    "paddle_version",
    "peak_memory_mb",
    "physical_cores",
    "place",
    "prepare",
    "start",
    "thread_counts",
    "usable_cores",
]
