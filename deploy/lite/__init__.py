"""Paddle Lite: a bundle becomes a folder for an edge board, converted in a second interpreter, audited and proved."""
