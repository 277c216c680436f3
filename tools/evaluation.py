"""The labelled images that a bundle's accuracy is measured on."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ppresnet.bundle import Bundle
from ppresnet.config import from_dict
from ppresnet.data import Samples, open_split
from ppresnet.errors import DataError, RequestError


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Preprocessed images, float32 [n, channels, size, size], and their labels, int64 [n]."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]


def evaluation_images(bundle: Bundle, root: str | None, most: int) -> Evaluated:
    """Return images of the evaluation split of a bundle's recipe, spread over it, preprocessed as the bundle says.

    Args:
        bundle: verified.
        root: takes the place of the recipe's `data.root`; None keeps that.
        most: how many at most.

    Raises:
        RequestError: the bundle holds no recipe, or one with several labels an image.
        DataError: the split cannot be opened, has other classes than the bundle, or no readable image.
    """
    if bundle.deploy.config is None:
        raise RequestError(f"{bundle.path} holds no recipe, so --data has nothing to open; export it again")
    # In quotes, as YAML reads a name such as `set #2` otherwise.
    overrides = [f"data.root={json.dumps(root, ensure_ascii=False)}"] if root else []
    config = from_dict(bundle.deploy.config, str(bundle.path), overrides)
    if config.data.multi_label:
        raise RequestError("--data measures top-1 of one label an image, and data.multi_label is true; leave it out")
    preprocess = bundle.deploy.preprocess
    source = open_split(config.data, "val", in_channels=preprocess.in_channels, num_classes=len(bundle.labels))
    if tuple(source.classes) != bundle.labels:
        raise DataError(
            f"the classes of the data set are not the bundle's labels; "
            f"expected {bundle.labels[:5]}, found {source.classes[:5]}"
        )
    indices = np.linspace(0, len(source) - 1, min(len(source), most)).astype(np.int64)
    batch = Samples(source, preprocess).load(0, indices)
    if not len(batch.labels):
        raise DataError(f"none of {len(indices)} evaluation images is readable; the first: {batch.broken[0].reason}")
    return Evaluated(batch.images, batch.labels)
