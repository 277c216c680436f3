"""SIGTERM and SIGINT: finish the step, save, leave."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ppresnet.train.ranks import Ranks

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Preemption:
    """While entered, the first SIGTERM or SIGINT is noted in `signal_name`; a second SIGINT interrupts at once.

    Enter it after `import paddle`, which replaces handlers that were set before.
    """

    def __init__(self) -> None:
        self.signal_name: str | None = None
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> Preemption:
        """Install the handlers."""
        for number in SIGNALS:
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the previous handlers back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def agreed(self, ranks: Ranks) -> str | None:
        """Return the name of a signal that came to any of the processes, the same in each of them."""
        came = ranks.total(np.array([self.signal_name == one.name for one in SIGNALS], np.int64))
        return next((one.name for one, count in zip(SIGNALS, came, strict=True) if count), None)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal_name is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal_name = signal.Signals(number).name
