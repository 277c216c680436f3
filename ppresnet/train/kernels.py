"""Whose kernels train the network: oneDNN's or Paddle's own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from paddle import nn

from ppresnet import onednn
from ppresnet.config import RunConfig
from ppresnet.layers import ConvNorm, IdentitySkip, Residual, Stage, ZeroPadSkip

COMPOSITES: dict[str, list[type[nn.Layer]]] = {
    "units": [ConvNorm],
    "blocks": [Residual],
    "pads": [ZeroPadSkip],
    "stages": [Stage],
    "identities": [IdentitySkip],
}
"""The layers of several operators that `onednn.enable` may run as one."""


@contextmanager
def training_kernels(
    config: RunConfig, report: Callable[[str], None], repeat: Mapping[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Put the kernels of `hardware.onednn` in place, say so, and take them out again at the end.

    Yields what hardware.json keeps of it: `onednn`, the version of the library or None for Paddle's own kernels.

    Args:
        config: the recipe; `amp: {level: O1, dtype: bfloat16}` (or O2) means bf16 inside the kernels.
        report: is given a line that says which kernels run, or why these do not.
        repeat: what an interrupted run kept; `auto` takes Paddle's own again where that run had them, since both
            round differently.

    Raises:
        RequestError: oneDNN is insisted on and does not work here.
    """
    setting = config.hardware.onednn
    before = (repeat or {}).get("onednn", "")
    short = config.amp.level != "O0" and config.amp.dtype == "bfloat16"
    if setting == "auto" and before is None:
        onednn.disable()
        report("training kernels: Paddle's own, as the run has had them so far")
    else:
        report(onednn.enable(setting, "bfloat16" if short else "float32", **COMPOSITES))
    kernels = onednn.active()
    version = ".".join(map(str, kernels.library.version)) if kernels is not None else None
    if before not in ("", version):
        report(
            f"kernels: the run used {_named(before)} before and uses {_named(version)} now, which rounds differently"
        )
    try:
        yield {"onednn": version}
    finally:
        onednn.disable()


def _named(version: str | None) -> str:
    return f"oneDNN {version}" if version else "Paddle's own"
