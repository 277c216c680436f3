"""What `deploy.json` says of an int8 bundle: how it was quantised, what that cost, and which layers stayed in float."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Calibration(_Frozen):
    """The images that the ranges of activations were measured on.

    Attributes:
        split: of the data set; always that of training.
        images: how many.
        sha256: of their preprocessed values, float32 [images, channels, size, size], little-endian, in C order.
        algorithm: how a range follows from them.
    """

    split: Literal["train"] = "train"
    images: int = Field(ge=1)
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    algorithm: str


class LayerError(_Frozen):
    """What int8 does to one layer, when its input and its kernel are rounded and nothing else is.

    Attributes:
        name: structured name of the layer.
        parameter: name of its kernel in the programs.
        error: root mean square of the change of its output over that of the output; None where it cannot be int8.
        rel_diff: largest change of its output over the largest output.
        int8: whether the programs round it. oneDNN runs linear layers in float all the same.
        reason: why it stayed in float; empty where it did not.
    """

    name: str
    parameter: str
    error: float | None
    rel_diff: float | None
    int8: bool
    reason: str = ""


class Quantisation(_Frozen):
    """How a bundle became int8, and what it is worth; top-1 in percent, `floor` in points.

    Attributes:
        method: `ptq` after training, `qat` after a training that rounds.
        calibration: the images that ranges were measured on.
        floor: how much top-1 may be lost.
        images: of the evaluation split that were looked at.
        top1_float: of the checkpoint's network.
        top1_int8: of the program, run with int8 kernels of oneDNN.
        top1_agreement: share of images that both give the same class.
        top1_onnx: of `model.onnx` in int8; None without one.
        onnx_float_layers: kernels that stayed in float in `model.onnx`.
        layers: every convolution and every linear layer, worst first.
    """

    method: Literal["ptq", "qat"]
    calibration: Calibration
    floor: float
    images: int
    top1_float: float
    top1_int8: float
    top1_agreement: float
    top1_onnx: float | None = None
    onnx_float_layers: tuple[str, ...] = ()
    layers: tuple[LayerError, ...]
