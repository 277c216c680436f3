"""The switch: puts the kernels in the place of Paddle's own for the layers of training, and takes them out again."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import paddle
from paddle import Tensor, nn

from ppresnet.errors import RequestError
from ppresnet.onednn.api import BFLOAT16, FLOAT32
from ppresnet.onednn.kernels import Kernels
from ppresnet.onednn.library import Library, OneDnnError
from ppresnet.onednn.trial import expect_equal_to_paddle
from ppresnet.paddle_api import as_it_stands

Setting = Literal["auto", "enabled", "disabled"]
Compute = Literal["float32", "bfloat16"]
COMPUTE = {"float32": FLOAT32, "bfloat16": BFLOAT16}

_kernels: Kernels | None = None
_own: dict[type[nn.Layer], Callable[..., Tensor]] = {}  # the forward that each class had, while ours stands there
_inherited: set[type[nn.Layer]] = set()  # of these, which had it from another class


def enable(
    setting: Setting = "auto",
    compute: Compute = "float32",
    units: Sequence[type[nn.Layer]] = (),
    blocks: Sequence[type[nn.Layer]] = (),
    pads: Sequence[type[nn.Layer]] = (),
    stages: Sequence[type[nn.Layer]] = (),
    identities: Sequence[type[nn.Layer]] = (),
) -> str:
    """Let oneDNN run convolutions, batch normalisations and ReLUs, and return a line that says so, or why not.

    It does so in layers in training mode, for float32 tensors on the CPU, in dynamic mode; evaluation, `to_static` and
    exports keep Paddle's own kernels. A trial comes first.

    Args:
        setting: `auto` keeps Paddle's kernels where these do not work, `enabled` insists, `disabled` takes them out.
        compute: type inside the kernels of convolutions, and of what is passed on within `stages`; other tensors,
            weights and statistics are float32.
        units: classes whose forward is act(norm(conv(x))) of attributes with these names; it is run as one.
        blocks: classes whose forward is act(skip(x) + branch(x)) of attributes with these names, and with others that
            change nothing if they are `nn.Identity`; where the branch is a chain of units, it is run as one.
        pads: classes that take every `stride`-th pixel, and put `before` and `after` zero channels around it.
        stages: classes that run the layers they consist of one behind another, after a layer `before` where their
            forward is given one; what lies between such blocks with identity skips keeps the layout of the kernels.
        identities: classes of skips that return their input.

    Raises:
        RequestError: `enabled`, and they do not work here.
    """
    global _kernels
    disable()
    if setting == "disabled":
        return "training kernels: Paddle's own, since hardware.onednn is disabled"
    try:
        kernels = Kernels(open_library(), COMPUTE[compute], units, blocks, identities)
        expect_equal_to_paddle(kernels)
    except OneDnnError as error:
        if setting == "enabled":
            raise RequestError(f"hardware.onednn is enabled, but {error}; set it to auto or disabled") from error
        return f"training kernels: Paddle's own, since {error}"
    _kernels = kernels
    ours = {nn.Conv2D: _convolution, nn.BatchNorm2D: _normalisation, nn.ReLU: _relu}
    ours |= dict.fromkeys(units, _unit) | dict.fromkeys(blocks, _block) | dict.fromkeys(pads, _pad)
    ours |= dict.fromkeys(stages, _stage)
    for layer, forward in ours.items():
        _own[layer] = layer.forward
        if "forward" not in vars(layer):
            _inherited.add(layer)
        layer.forward = forward
    version = ".".join(map(str, kernels.library.version))
    return f"training kernels: oneDNN {version}, {compute}, equal to Paddle's in a trial"


def disable() -> None:
    """Put Paddle's own kernels back; graphs that were recorded before still find theirs."""
    global _kernels
    for layer, forward in _own.items():
        if layer in _inherited:
            del layer.forward
        else:
            layer.forward = forward
    _own.clear()
    _inherited.clear()
    _kernels = None


def active() -> Kernels | None:
    """Return the kernels in use, None where they are Paddle's own."""
    return _kernels


def open_library() -> Library:
    """Return the oneDNN of the installed Paddle.

    Raises:
        OneDnnError: it is not there, it is another version, or the device is no CPU.
    """
    if paddle.get_device() != "cpu":
        raise OneDnnError(f"the device is {paddle.get_device()}, and oneDNN is for CPUs")
    path = library_path()
    if not path.is_file():
        raise OneDnnError(f"Paddle {paddle.__version__} brings no {path.name} in {path.parent}")
    return Library(path)


def library_path() -> Path:
    """Return where the wheels of Paddle for x86 have their oneDNN."""
    return Path(paddle.__file__).parent / "libs" / "libdnnl.so.3"


@as_it_stands
def _run(
    kind: Literal["convolve", "normalise", "rectify", "run_unit", "run_block", "run_stage", "pad"],
    layer: nn.Layer,
    *arguments: Any,
) -> Tensor | None:
    if _kernels is None or not paddle.in_dynamic_mode():
        return None
    return getattr(_kernels, kind)(layer, *arguments)


# `to_static` wants the first argument to be called `self`.
def _convolution(self: nn.Conv2D, x: Tensor) -> Tensor:
    result = _run("convolve", self, x)
    return result if result is not None else _own_forward(self)(self, x)


def _normalisation(self: nn.BatchNorm2D, input: Tensor) -> Tensor:
    result = _run("normalise", self, input)
    return result if result is not None else _own_forward(self)(self, input)


def _relu(self: nn.ReLU, x: Tensor) -> Tensor:
    result = _run("rectify", self, x)
    return result if result is not None else _own_forward(self)(self, x)


def _unit(self: nn.Layer, x: Tensor) -> Tensor:
    result = _run("run_unit", self, x)
    return result if result is not None else _own_forward(self)(self, x)


def _block(self: nn.Layer, x_NCHW: Tensor) -> Tensor:
    result = _run("run_block", self, x_NCHW)
    return result if result is not None else _own_forward(self)(self, x_NCHW)


def _stage(self: nn.Layer, x_NCHW: Tensor, before: nn.Layer | None = None) -> Tensor:
    result = _run("run_stage", self, x_NCHW, before)
    return result if result is not None else _own_forward(self)(self, x_NCHW, before)


def _pad(self: nn.Layer, x_NCHW: Tensor) -> Tensor:
    result = _run("pad", self, x_NCHW)
    return result if result is not None else _own_forward(self)(self, x_NCHW)


def _own_forward(layer: nn.Layer) -> Callable[..., Any]:
    return next(_own[kind] for kind in type(layer).__mro__ if kind in _own)
