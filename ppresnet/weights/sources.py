"""Whose names the tensors of foreign weights can have."""

SOURCES = ("torchvision", "timm", "paddle_vision", "paddleclas", "pytorch_cifar")
