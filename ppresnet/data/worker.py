"""A loader process: `python -m ppresnet.data.worker FD` takes Samples, then answers batches until its parent is gone.

A fresh interpreter, because a fork would copy the locks of Paddle's threads, and multiprocessing's spawn and forkserver
import the main script, and with it Paddle, once more. It imports numpy, Pillow and this package only.
"""

import contextlib
import signal
import sys
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ppresnet.data.failure import Failure

if TYPE_CHECKING:
    from ppresnet.data.samples import PixelBatch, Samples


def serve(connection: Connection) -> None:
    """Answers (epoch, indices) with a PixelBatch or a Failure until the other end closes."""
    samples: Samples = connection.recv()
    while True:
        epoch, indices = connection.recv()
        connection.send(_answer(samples, epoch, indices))


def _answer(samples: "Samples", epoch: int, indices: NDArray[np.int64]) -> "PixelBatch | Failure":
    try:
        return samples.pixels(epoch, indices)
    except Exception as error:
        return Failure.of(error)


def main() -> None:
    """Serves on the inherited file descriptor; signals to the process group are the parent's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(EOFError, ConnectionError):
        serve(Connection(int(sys.argv[1])))


if __name__ == "__main__":
    main()
