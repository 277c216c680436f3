"""VisualDL's file: numbers, histograms, pictures and the graph of a network."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import paddle
from numpy.typing import NDArray
from visualdl import LogWriter

from ppresnet import paddle_api
from ppresnet.models import build
from ppresnet.spec import ModelSpec
from ppresnet.train.monitors.protocol import Numbers

BUCKETS = 32  # of a histogram


class VisualDl:
    """Writes what `visualdl --logdir` shows.

    Args:
        folder: of the file; its parent's name is that of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._writer = LogWriter(logdir=str(folder), display_name=folder.parent.name)

    def write(self, kind: str, step: int, numbers: Numbers) -> None:
        """Write each number as a scalar `kind/name`."""
        for name, value in numbers.items():
            self._writer.add_scalar(f"{kind}/{name}", float(value), step)

    def histogram(self, tag: str, values: NDArray[np.float32], step: int) -> None:
        """Write the distribution of the finite ones of some values, of any shape."""
        finite = values[np.isfinite(values)]
        if finite.size:
            self._writer.add_histogram(tag, finite, step, buckets=BUCKETS)

    def picture(self, tag: str, image_HWC: NDArray[np.uint8], step: int) -> None:
        """Write an image, uint8 [height, width, 3]."""
        self._writer.add_image(tag, image_HWC, step)

    def graph(self, spec: ModelSpec, size: int) -> None:
        """Write the graph of a network of this spec, for images of this height and width.

        VisualDL 2.5 changes the network that it draws, and reads `.pdmodel` only, so that it gets one of its own.
        """
        with paddle.utils.unique_name.guard(), warnings.catch_warnings(), paddle_api.old_ir():
            warnings.simplefilter("ignore")  # it leaves a file open, and asks for options that Paddle ignores
            model = build(spec)
            model.eval()
            images = paddle.static.InputSpec([None, spec.in_channels, size, size], "float32", "images")
            self._writer.add_graph(model, [images])

    def close(self) -> None:
        """Write what is left, and close the file."""
        self._writer.close()
