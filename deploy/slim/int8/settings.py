"""What can be asked of a quantisation; no Paddle."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

METHODS = ("ptq", "qat")
# On ResNet-20 KL took 35 times as long as abs_max and lost 2 points more, so it is not offered.
ALGORITHMS = ("abs_max", "avg", "hist", "mse")


class Int8Settings(BaseModel):
    """How a network becomes int8.

    Attributes:
        method: `ptq` measures ranges on calibration images; `qat` trains with rounded values before.
        calibration: training images that ranges are measured on.
        algorithm: how the range of an activation follows from its values.
        floor: points of top-1 that may be lost on the evaluation split.
        images: of the evaluation split to look at, spread over it; None for all.
        most_float: largest share of the layers that may stay in float for the floor's sake.
        onnx: quantise `model.onnx` too.
        epochs: of the training of `qat`.
        lr: its learning rate, which falls along a half cosine.
        timeout: seconds that one quantisation may take.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: Literal["ptq", "qat"] = "ptq"
    calibration: int = Field(256, ge=1)
    algorithm: Literal["abs_max", "avg", "hist", "mse"] = "abs_max"
    floor: float = Field(0.5, ge=0)
    images: int | None = Field(None, ge=1)
    most_float: float = Field(0.5, ge=0, lt=1)
    onnx: bool = True
    epochs: int = Field(2, ge=1)
    lr: float = Field(0.005, gt=0)
    timeout: float = Field(7200.0, gt=0)
