"""Golden tensors: inputs and the network's own outputs, with which every runtime can check itself."""

import io
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppresnet.config import RunConfig
from ppresnet.data import Samples, open_split
from ppresnet.errors import DataError
from ppresnet.pixels import Preprocess

_SEED = 20_240_229


def random_inputs(count: int, preprocess: Preprocess) -> NDArray[np.float32]:
    """Return standard normal inputs, float32 [count, channels, size, size]; always the same."""
    shape = (count, preprocess.in_channels, preprocess.input_size, preprocess.input_size)
    return np.random.default_rng(_SEED).standard_normal(shape, np.float32)


def real_inputs(count: int, config: RunConfig, preprocess: Preprocess) -> NDArray[np.float32]:
    """Return the first readable images of the evaluation split, preprocessed: float32 [count, channels, size, size].

    Raises:
        DataError: the split cannot be opened, or has fewer readable images.
    """
    source = open_split(config.data, "val", in_channels=preprocess.in_channels, num_classes=config.model.num_classes)
    # Spread over the split, so that a folder in the order of its classes gives different ones.
    indices = np.linspace(0, len(source) - 1, min(len(source), 4 * count)).astype(np.int64)
    images = Samples(source, preprocess).load(0, indices).images[:count]
    if len(images) < count:
        raise DataError(f"expected {count} readable images in the evaluation split, found {len(images)}")
    return images


def write_golden(path: Path, inputs: NDArray[np.float32], outputs: NDArray[np.float32]) -> None:
    """Write the arrays `inputs` and `outputs` as an uncompressed npz whose bytes depend on nothing but them.

    Args:
        path: of the file.
        inputs: float32 [n, channels, size, size], preprocessed.
        outputs: float32 [n, classes], logits.

    Raises:
        OSError: it could not be written.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in (("inputs", inputs), ("outputs", outputs)):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array, np.float32), allow_pickle=False)  # type: ignore[no-untyped-call]
            # np.savez would write the time of day here.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0)), member.getvalue())
    path.write_bytes(buffer.getvalue())
