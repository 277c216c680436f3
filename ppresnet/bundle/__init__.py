"""What a bundle is: a network in up to three formats with its labels, golden tensors and `deploy.json`.

It carries the results of its own checks, so that each runtime can be held to them. Nothing here imports Paddle.
"""

from ppresnet.bundle.golden import read_golden
from ppresnet.bundle.quantisation import Calibration, LayerError, Quantisation
from ppresnet.bundle.read import Bundle, list_files, read_bundle
from ppresnet.bundle.schema import (
    DEPLOY,
    GOLDEN,
    JSON,
    LABELS,
    ONNX,
    OPTIONAL,
    PARAMS,
    PDMODEL,
    REQUIRED,
    Activation,
    Deploy,
    FileEntry,
    FusionRow,
    LatencyRow,
    ParityRow,
    Pattern,
    Port,
    Shape,
    Site,
    Source,
    UnfusedSite,
)
from ppresnet.files import MANIFEST

__all__ = [
    "DEPLOY",
    "GOLDEN",
    "JSON",
    "LABELS",
    "MANIFEST",
    "ONNX",
    "OPTIONAL",
    "PARAMS",
    "PDMODEL",
    "REQUIRED",
    "Activation",
    "Bundle",
    "Calibration",
    "Deploy",
    "FileEntry",
    "FusionRow",
    "LatencyRow",
    "LayerError",
    "ParityRow",
    "Pattern",
    "Port",
    "Quantisation",
    "Shape",
    "Site",
    "Source",
    "UnfusedSite",
    "list_files",
    "read_bundle",
    "read_golden",
]
