"""Progressive resizing: small images first, which are quicker (Tan and Le 2021, arXiv:2104.00298, section 4)."""

import paddle.nn.functional as F
from paddle import Tensor

from ppresnet.config import TrainConfig

STEP = 4  # pixels; sides are multiples of this, or the full size


def side_of(train: TrainConfig, full: int, epoch: int) -> int:
    """Return the side of the images of an epoch, pixels: from `start_size`, in a line over `grow_epochs`, to `full`."""
    if train.start_size is None or epoch >= train.grow_epochs:
        return full
    side = train.start_size + (full - train.start_size) * epoch / train.grow_epochs
    return min(max(round(side / STEP) * STEP, STEP), full)


def resized(images_NCHW: Tensor, side: int) -> Tensor:
    """Return images of side x side pixels, bilinear; the same tensor where they are so already."""
    if images_NCHW.shape[-1] == side:
        return images_NCHW
    return F.interpolate(images_NCHW, size=[side, side], mode="bilinear", align_corners=False)
