"""Necks: what mixes the maps of a backbone's pyramid, for detection and segmentation heads."""

from ppresnet.models.necks.fpn import FPN
from ppresnet.models.necks.pan import PAN

__all__ = ["FPN", "PAN"]
