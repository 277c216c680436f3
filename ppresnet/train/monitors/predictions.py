"""Images of the evaluation split with what the network says about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn
from PIL import Image, ImageDraw

from ppresnet.data import Samples
from ppresnet.train.calibration import confidences

if TYPE_CHECKING:
    from ppresnet.train.monitors.visualdl import VisualDl

TILE = 96  # pixels of an image's longer side on the sheet
CAPTION = 14  # pixels of the line below it
COLUMNS = 8
LETTERS = 14  # of a caption
RIGHT, WRONG = (0, 110, 0), (180, 0, 0)


class Answer(NamedTuple):
    """What the network says about an image: the line below it, and whether it is right."""

    caption: str
    right: bool


class Predictions:
    """Shows some images with their predicted classes in VisualDL after each evaluation, the same ones every time.

    Args:
        model: the network.
        samples: of the evaluation split.
        count: of images, spread evenly over the split.
        visualdl: where they are shown.
        binary: whether each class is a yes or no of its own.
    """

    def __init__(
        self, model: nn.Layer, samples: Samples, count: int, visualdl: VisualDl, *, binary: bool = False
    ) -> None:
        self._model, self._samples, self._visualdl, self._binary = model, samples, visualdl, binary
        last = len(samples) - 1
        self._indices = np.unique(np.linspace(0, last, count).round().astype(np.int64))

    def on_step(self, step: int) -> None:
        """Do nothing."""

    def on_eval(self, step: int) -> None:
        """Write a sheet of the images."""
        pixels = self._samples.pixels(0, self._indices)
        batch = self._samples.finish(pixels)
        if len(batch.images):
            found = answers(self._logits(batch.images), batch.labels, self._samples.source.classes, self._binary)
            self._visualdl.picture("predictions", sheet(pixels.pixels, found), step)

    def close(self) -> None:
        """Do nothing."""

    def _logits(self, images_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        training = self._model.training
        self._model.eval()
        try:
            with paddle.no_grad():
                logits: NDArray[np.float32] = self._model(paddle.to_tensor(images_NCHW)).astype("float32").numpy()
        finally:
            if training:
                self._model.train()
        return logits


def answers(
    logits: NDArray[np.float32], labels: NDArray[np.integer], classes: Sequence[str], binary: bool = False
) -> list[Answer]:
    """Return what is said about each image: `cat: 97%`, or `cat: 60% (dog)` where it is a dog.

    Args:
        logits: [batch, classes].
        labels: [batch] the class, or [batch, classes] 1 for each that is there.
        classes: their names.
        binary: whether each class is a yes or no of its own.
    """
    found = []
    for row, sure, label in zip(logits, confidences(logits, binary), labels, strict=True):
        best = int(row.argmax())
        right = bool(label[best]) if np.ndim(label) else best == int(label)
        truth = "" if right or np.ndim(label) else f" ({_shown(classes, int(label))})"
        found.append(Answer(f"{_shown(classes, best)}: {100 * sure:.0f}%{truth}", right))
    return found


def sheet(images_NHWC: NDArray[np.uint8], found: Sequence[Answer]) -> NDArray[np.uint8]:
    """Return images in rows, each above its answer, green where that is right: uint8 [height, width, 3].

    Args:
        images_NHWC: uint8 [batch, height, width, 1 or 3].
        found: one answer an image.
    """
    columns = min(COLUMNS, len(found))
    rows = -(-len(found) // columns)
    paper = Image.new("RGB", (columns * TILE, rows * (TILE + CAPTION)), (255, 255, 255))
    draw = ImageDraw.Draw(paper)
    for index, (image_HWC, answer) in enumerate(zip(images_NHWC, found, strict=True)):
        left, top = index % columns * TILE, index // columns * (TILE + CAPTION)
        picture = Image.fromarray(np.broadcast_to(image_HWC, (*image_HWC.shape[:2], 3)))
        scale = TILE / max(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        paper.paste(picture.resize(size, Image.Resampling.NEAREST), (left, top))
        draw.text((left + 1, top + TILE), answer.caption, RIGHT if answer.right else WRONG)
    return np.asarray(paper)


def _shown(classes: Sequence[str], index: int) -> str:
    # Pillow's own font has no other letters.
    name = classes[index]
    return name[:LETTERS] if name.isascii() else f"class {index}"
