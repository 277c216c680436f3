"""Dynamic loss scaling for float16 gradients (Micikevicius et al. 2017, arXiv:1710.03740, section 3.2)."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import paddle
from paddle import nn


@dataclass
class LossScale:
    """The factor that keeps small gradients above float16's least number.

    It halves after a step whose gradients overflow, and doubles after `growth_steps` good steps in a row.

    Attributes:
        scale: the factor.
        growth_steps: good steps to a doubling.
        good_steps: in a row, so far.
    """

    scale: float
    growth_steps: int
    good_steps: int = 0

    def to_dict(self) -> dict[str, float]:
        """Return what a checkpoint keeps."""
        return asdict(self)

    @paddle.no_grad()  # type: ignore[untyped-decorator]
    def unscale(self, model: nn.Layer) -> None:
        """Divide every gradient by the factor; call it before they are clipped or looked at."""
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad.scale_(1.0 / self.scale)

    def update(self, overflowed: bool) -> None:
        """Move the factor after a step."""
        if overflowed:
            self.scale, self.good_steps = max(self.scale / 2, 1.0), 0
            return
        self.good_steps += 1
        if self.good_steps == self.growth_steps:
            self.scale, self.good_steps = self.scale * 2, 0
