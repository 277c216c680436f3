"""Random numbers as a function of (seed, epoch, step): no generator state to save, any step can be replayed."""

import hashlib

import paddle


def derive(*parts: int | str) -> int:
    """Return a 31-bit seed that depends on all parts and their order."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1


def seed_paddle(*parts: int | str) -> None:
    """Seed Paddle's generators, which draw initial weights, dropout and drop-path masks."""
    paddle.seed(derive(*parts))
