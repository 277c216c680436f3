"""Data sets, the order of their images, and the processes that load them; no Paddle."""

from ppresnet.data.broken import Broken, BrokenReport
from ppresnet.data.loader import Loader
from ppresnet.data.opening import open_split, preprocess_of
from ppresnet.data.order import batches, order
from ppresnet.data.samples import Batch, Samples
from ppresnet.data.source import Source

__all__ = [
    "Batch",
    "Broken",
    "BrokenReport",
    "Loader",
    "Samples",
    "Source",
    "batches",
    "open_split",
    "order",
    "preprocess_of",
]
