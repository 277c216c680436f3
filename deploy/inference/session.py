"""One program under one runtime: safe to call from any thread, and it never returns an output that cannot be right."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from paddle import inference

from deploy.inference.config import build_config
from deploy.inference.runtime import Runtime, resolve_format
from ppresnet.errors import CheckFailedError, RequestError


class Session:
    """Runs the program of a folder on batches; each thread gets a clone of its own, which shares the weights.

    It needs only the program and its parameters, so a bundle that is still being made can be checked with it.
    A finished one is opened with `Predictor`, which verifies it first.

    Args:
        directory: holds `inference.json` or `inference.pdmodel`, and `inference.pdiparams`.
        runtime: how to run it.

    Raises:
        RequestError: the runtime is refused; see `deploy.inference.config`.
    """

    def __init__(self, directory: str | Path, runtime: Runtime | None = None) -> None:
        self.runtime = runtime or Runtime()
        self.format = resolve_format(Path(directory), self.runtime)
        self._root = inference.create_predictor(build_config(Path(directory), self.runtime))
        self._cloning = threading.Lock()
        self._clones = threading.local()

    def __call__(self, images_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the first output, float32 [batch, classes], of preprocessed images.

        Raises:
            RequestError: the array is not float32 of four dimensions, or empty.
            CheckFailedError: the output has NaN or infinity, or is all zero.
        """
        if images_NCHW.dtype != np.float32 or images_NCHW.ndim != 4 or not len(images_NCHW):
            found = f"{images_NCHW.dtype} {list(images_NCHW.shape)}"
            raise RequestError(f"expected a non-empty float32 [batch, channels, height, width] array, found {found}")
        predictor = self._predictor()
        predictor.get_input_handle(predictor.get_input_names()[0]).copy_from_cpu(np.ascontiguousarray(images_NCHW))
        predictor.run()
        logits: NDArray[np.float32] = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
        check_output(logits, len(images_NCHW), f"{self.runtime.backend} {self.runtime.precision} .{self.format}")
        return logits

    def _predictor(self) -> Any:
        if not hasattr(self._clones, "predictor"):
            with self._cloning:
                self._clones.predictor = self._root.clone()
        return self._clones.predictor


def check_output(logits: NDArray[np.float32], batch: int, who: str) -> None:
    """Raise for an output that cannot be right.

    Raises:
        CheckFailedError: it has NaN or infinity, is all zero, or has another number of rows than `batch`.
    """
    if len(logits) != batch:
        raise CheckFailedError(f"{who}: {batch} images gave {len(logits)} rows; export the bundle again")
    if not np.isfinite(logits).all():
        raise CheckFailedError(
            f"{who}: the output has NaN or infinity; the runtime or the input is broken, do not use it"
        )
    if not logits.any():
        raise CheckFailedError(f"{who}: the output is all zero; the runtime is broken, do not use it")
