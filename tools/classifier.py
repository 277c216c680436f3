"""A checkpoint or a bundle as one thing that scores images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ppresnet.checkpoint import read, resolve
from ppresnet.config import from_dict
from ppresnet.data import preprocess_of

Images = Sequence[np.ndarray]


@dataclass(frozen=True)
class Classifier:
    """Class names, the channels images are decoded to, and a function from uint8 HWC images to scores [n, classes]."""

    labels: tuple[str, ...]
    in_channels: int
    scores: Callable[[Images], np.ndarray]


def open_classifier(model: Path) -> Classifier:
    """Return the classifier of a bundle (it has a deploy.json), a checkpoint or a run folder.

    Raises:
        CheckpointError: there is no intact checkpoint at the path.
        BundleError: the bundle is not intact.
    """
    return _from_bundle(model) if (model / "deploy.json").exists() else _from_checkpoint(model)


def _from_checkpoint(path: Path) -> Classifier:
    checkpoint = read(resolve(path))
    config = from_dict(checkpoint.config)
    preprocess = preprocess_of(config.data, config.model.in_channels)

    import paddle
    import paddle.nn.functional as F

    from ppresnet.checkpoint.state import model_of

    network = model_of(checkpoint)
    chances = F.sigmoid if config.train.loss == "bce" else F.softmax

    def scores(images: Images) -> np.ndarray:
        batch = np.stack([preprocess(image) for image in images])
        with paddle.no_grad():
            return np.asarray(chances(network(paddle.to_tensor(batch))))

    # What tools/convert.py wrote without a data set has no names; numbers do, as in tools/export.py.
    labels = tuple(checkpoint.progress.get("classes") or map(str, range(network.spec.num_classes)))
    return Classifier(labels, config.model.in_channels, scores)


def _from_bundle(path: Path) -> Classifier:
    from deploy.inference import Predictor

    predictor = Predictor(path)
    return Classifier(
        tuple(predictor.labels), predictor.bundle.deploy.preprocess.in_channels, lambda images: predictor(list(images))
    )
