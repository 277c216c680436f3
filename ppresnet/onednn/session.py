"""What a thread needs to run primitives: a stream, and memory that is used again."""

import threading

import numpy as np

from ppresnet.onednn.library import Library

_ALIGNMENT = 64  # a cache line, and an AVX-512 register


class Session(threading.local):
    """A stream and scratch memory for each thread that uses it.

    Attributes:
        library: the library of the stream.
        stream: of this thread.
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self.stream = library.stream()
        self._blocks: list[np.ndarray] = []
        self._start = 0  # address of the last block
        self._used = 0  # bytes of it

    def begin(self) -> None:
        """Take back all scratch memory; what it held is lost. An operation calls this first."""
        if len(self._blocks) > 1:
            total = sum(len(block) for block in self._blocks)
            self._blocks.clear()  # before the new block, so that both are not there at once
            self._add(total)
        self._used = 0

    def take(self, size: int) -> int:
        """Return the address of `size` bytes of scratch memory, aligned, until the next `begin`."""
        address = self.borrow(size)
        self._used = address + size - self._start
        return address

    def borrow(self, size: int) -> int:
        """Return the address of `size` bytes, until the next call of any method."""
        if not self._blocks or self._used + size + _ALIGNMENT > len(self._blocks[-1]):
            self._add(size + _ALIGNMENT)
        start = self._start + self._used
        return start + -start % _ALIGNMENT

    def _add(self, size: int) -> None:
        self._blocks.append(np.empty(size, np.uint8))
        self._start, self._used = self._blocks[-1].ctypes.data, 0
