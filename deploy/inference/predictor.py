"""From images to scores, over a verified bundle."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deploy.inference.runtime import Backend, Precision, Runtime, auto_backend
from deploy.inference.session import Session
from ppresnet.bundle import Activation, Bundle, read_bundle
from ppresnet.errors import CheckFailedError, RequestError
from ppresnet.pixels import decode, read_image

Image = str | Path | NDArray[np.uint8]
Images = NDArray[np.float32] | Sequence[Image]
# Measured relative differences are about 1e-6 in fp32, 4e-3 in bf16 and 2e-2 in int8; a lost addition gives 1 and more.
GOLDEN_LIMITS = {"fp32": 1e-4, "bf16": 5e-2, "fp16": 5e-2, "int8": 2e-1}


class Predictor:
    """Classifies images with a bundle: `Predictor(bundle)(images) -> scores`; safe to call from any thread.

    Args:
        bundle: folder that tools/export.py wrote; every byte of it is verified before Paddle reads any.
        backend: `native`, `onednn`, `gpu`, `tensorrt`, or `auto` for the best of this machine.
        precision: `fp32`, `bf16`, `fp16` or `int8`, as the backend can, or `auto` for what the bundle was made for.
        format: `json`, `pdmodel`, or `auto`.
        threads: of the CPU kernels; None leaves what the process has.
        max_batch: more images than this are run in several batches.

    Raises:
        BundleError: the bundle is missing, incomplete or altered.
        RequestError: the combination of backend, precision and format would do nothing or be wrong.
    """

    def __init__(
        self,
        bundle: str | Path | Bundle,
        backend: Backend | Literal["auto"] = "auto",
        precision: Precision | Literal["auto"] = "auto",
        format: Literal["auto", "json", "pdmodel"] = "auto",
        threads: int | None = None,
        max_batch: int = 32,
    ) -> None:
        if max_batch < 1:
            raise RequestError(f"max_batch: expected a number from 1 on, found {max_batch}")
        self.bundle = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
        self.labels = self.bundle.labels
        chosen = self.bundle.precision if precision == "auto" else precision
        self.runtime = Runtime(auto_backend() if backend == "auto" else backend, chosen, format, threads, max_batch)
        self._session = Session(self.bundle.path, self.runtime)

    @property
    def format(self) -> str:
        """Which program runs: `json` or `pdmodel`."""
        return self._session.format

    def __call__(self, images: Images) -> NDArray[np.float32]:
        """Return scores, float32 [n, classes]: softmax or sigmoid of the logits, as the bundle's `activation` says.

        Args:
            images: preprocessed float32 [n, channels, height, width]; or a sequence of image files and of
                uint8 [height, width, channels] arrays, which are preprocessed as in training.

        Raises:
            BrokenImage: a file is not an image.
            RequestError: the array has another shape or type than the network takes.
            CheckFailedError: the output has NaN or infinity, or is all zero.
        """
        return _SCORES[self.bundle.deploy.activation](self.logits(images))

    def logits(self, images: Images) -> NDArray[np.float32]:
        """Return the raw output, float32 [n, classes]; arguments and errors as in `__call__`."""
        if not len(images):
            return np.empty((0, len(self.labels)), np.float32)
        return np.concatenate([self._session(self._checked(batch)) for batch in self._batches(images)])

    def check_golden(self, limit: float | None = None) -> float:
        """Run the golden inputs and return the relative difference from the golden outputs.

        Args:
            limit: the largest difference tolerated; None takes the limit of the precision.

        Raises:
            CheckFailedError: the difference is larger.
        """
        inputs, expected = self.bundle.golden()
        limit = GOLDEN_LIMITS[self.runtime.precision] if limit is None else limit
        difference = float(np.abs(self.logits(inputs) - expected).max() / np.abs(expected).max())
        if not difference <= limit:
            raise CheckFailedError(
                f"golden tensors: expected a relative difference of at most {limit:g}, found {difference:.2e} with "
                f"{self.runtime.backend} {self.runtime.precision}; do not use this runtime with this bundle"
            )
        return difference

    def _batches(self, images: Images) -> Iterable[NDArray[np.float32]]:
        step = self.runtime.max_batch
        for start in range(0, len(images), step):
            part = images[start : start + step]
            yield part if isinstance(part, np.ndarray) else np.stack([self._prepared(image) for image in part])

    def _prepared(self, image: Image) -> NDArray[np.float32]:
        preprocess = self.bundle.deploy.preprocess
        if isinstance(image, np.ndarray):
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != preprocess.in_channels:
                expected = f"uint8 [height, width, {preprocess.in_channels}]"
                raise RequestError(f"expected images of {expected}, found {image.dtype} {list(image.shape)}")
            return preprocess(image)
        if not Path(image).is_file():
            raise RequestError(f"no image at {image}")
        return preprocess(decode(read_image(image), preprocess.in_channels))

    def _checked(self, batch_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        expected = self.bundle.deploy.inputs[0].shape[1:]
        fits = batch_NCHW.ndim == 4 and all(
            want in (-1, found) for want, found in zip(expected, batch_NCHW.shape[1:], strict=True)
        )
        if batch_NCHW.dtype != np.float32 or not fits:
            found = f"{batch_NCHW.dtype} {list(batch_NCHW.shape)}"
            raise RequestError(
                f"expected preprocessed images of float32 [n, {', '.join(map(str, expected))}], found {found}"
            )
        return batch_NCHW


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return exp(l) / sum(exp(l)) over the last axis, shifted so that nothing overflows."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    scores: NDArray[np.float32] = powers / powers.sum(axis=-1, keepdims=True)
    return scores


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1 / (1 + exp(-l)) of each, written so that nothing overflows."""
    scores: NDArray[np.float32] = np.exp(-np.logaddexp(np.float32(0), -logits))
    return scores


_SCORES: Mapping[Activation, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "softmax": softmax,
    "sigmoid": sigmoid,
}
