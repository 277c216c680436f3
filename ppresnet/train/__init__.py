"""Training and evaluation of a recipe."""
