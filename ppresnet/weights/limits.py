"""How much a foreign file may ask for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What is read at most; the defaults are far above any published image network.

    Attributes:
        bytes: of the file, and of the arrays in it together.
        tensors: in the state dict.
        instructions: in one pickle; each costs at most a few hundred bytes of memory.
        copies: how many times the bytes of the file may be taken up by tensors: 2 for float16 made float32,
            2 for tensors that share their memory.
    """

    bytes: int = 8 * 2**30
    tensors: int = 20_000
    instructions: int = 2_000_000
    copies: int = 4
