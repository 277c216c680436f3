"""What can be asked of Paddle Lite, and what must not be, because Lite answers with exit code 0 and a wrong network.

Each refusal was seen with Paddle Lite 2.12; tests/deploy/lite/test_facts.py notices when one no longer holds.
"""

from __future__ import annotations

from dataclasses import dataclass

from ppresnet.errors import RequestError, did_you_mean

TARGETS = ("arm", "opencl,arm", "x86")
PRECISIONS = ("fp32", "fp16", "int8-weights", "int16-weights", "int8")
WEIGHT_TYPES = {"int8-weights": "QUANT_INT8", "int16-weights": "QUANT_INT16"}
_WRONG_ORDERS = ("arm,opencl", "x86,opencl")
_LOST = "Lite then fuses each residual addition into a convolution kernel that does not add, and says nothing"


@dataclass(frozen=True)
class Options:
    """What the network is converted to.

    Attributes:
        target: one of TARGETS.
        precision: one of PRECISIONS.
        sparse: share of zeros from which a 1 x 1 convolution is stored sparse; None leaves all dense.
    """

    target: str
    precision: str = "fp32"
    sparse: float | None = None

    @property
    def label(self) -> str:
        """A short name of the combination."""
        return f"{self.target} {self.precision}" + (f" sparse {self.sparse:g}" if self.sparse is not None else "")


def check(options: Options, quantised: bool) -> None:
    """Refuse what Lite cannot do or does wrong.

    Args:
        options: what was asked.
        quantised: whether the program holds quantisation operators.

    Raises:
        RequestError: with the reason and what to ask for instead.
    """
    _check_names(options)
    target, precision = options.target, options.precision
    if quantised and precision != "int8":
        raise RequestError(f"this program is quantised: expected --precision int8, found {precision}")
    if precision == "int8" and not quantised:
        raise RequestError(
            "--precision int8 needs a quantised program, and this one has no quantisation operators; give one with "
            "--program (made by paddleslim's quant_post_static), or ask for int8-weights"
        )
    if target == "x86" and precision in WEIGHT_TYPES:
        raise RequestError(
            f"--precision {precision} with x86: its kernels do not scale quantised weights, and zeros or NaN come out; "
            "use arm"
        )
    if target == "x86" and precision == "int8":
        raise RequestError("--precision int8 with x86: Lite's int8 kernels for x86 give NaN; use arm")
    if target == "x86" and precision == "fp16":
        raise RequestError("--precision fp16 with x86 changes nothing, as x86 has fp32 kernels only; use arm, or fp32")
    if target == "opencl,arm" and precision == "fp16":
        raise RequestError(
            "--precision fp16 with opencl,arm aborts Lite; ask for fp32: OpenCL kernels choose fp16 on the board "
            "(MobileConfig::set_opencl_precision)"
        )
    if target == "opencl,arm" and precision == "int8":
        raise RequestError("--precision int8 with opencl,arm: OpenCL has no int8 convolution; use arm")
    _check_sparse(options)


def _check_names(options: Options) -> None:
    target = options.target
    if target in _WRONG_ORDERS:
        raise RequestError(f"--target {target}: {_LOST}; use opencl,arm" + (" or x86" if "x86" in target else ""))
    if target not in TARGETS:
        joined = ",".join(target.replace(",", " ").split())
        hint = f"; did you mean '{joined}'?" if joined in TARGETS else did_you_mean(target, TARGETS)
        raise RequestError(f"--target '{target}': expected one of {' | '.join(TARGETS)}, without spaces{hint}")
    if options.precision not in PRECISIONS:
        expected = f"expected one of {', '.join(PRECISIONS)}{did_you_mean(options.precision, PRECISIONS)}"
        raise RequestError(f"--precision '{options.precision}': {expected}")


def _check_sparse(options: Options) -> None:
    if options.sparse is None:
        return
    if not 0 < options.sparse < 1:
        raise RequestError(f"--sparse {options.sparse:g}: expected a share of zeros between 0 and 1, such as 0.6")
    if options.target != "arm" or options.precision != "fp32":
        raise RequestError(
            f"--sparse with {options.label}: only ARM's fp32 kernels are known to skip zeros; use arm and fp32"
        )
