"""The shared real images, read as they are."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from ppresnet.config.schema import DataConfig
from ppresnet.data import Loader, Samples, batches, open_split, preprocess_of
from ppresnet.files import open_zip
from ppresnet.pixels import decode


def test_cifar_as_jpeg(shared: Path, config: Callable[..., DataConfig]) -> None:
    data = config(format="folder", root=shared / "data/cifar10_jpeg.zip", val="test", input_size=32)
    source = open_split(data, "val", in_channels=3, num_classes=10)
    assert source.classes[0] == "airplane"
    assert np.bincount(source.labels).tolist() == [1000] * 10
    with Loader(Samples(source, preprocess_of(data, 3))) as loader:
        for batch in loader.run(0, batches(10_000, 64)[::32]):
            assert batch.images.shape == (len(batch.labels), 3, 32, 32)
            assert not batch.broken
            assert 0.5 < batch.images.std() < 2


def test_photographs(shared: Path) -> None:
    archive = open_zip(shared / "data/photos_200.zip")
    names = archive.members()[::25]
    assert len(names) == 8
    for name in names:
        data = archive.read(name, 10_000_000)
        assert np.array_equal(decode(data, 3), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
