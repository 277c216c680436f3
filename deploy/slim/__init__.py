"""Pruning: which channels belong together, which are worth keeping, and checkpoints without the others."""
