"""Checkpoints: what a run needs to go on, and how it is kept."""

from ppresnet.checkpoint.store import Checkpoint, Store, read, resolve

__all__ = ["Checkpoint", "Store", "read", "resolve"]
