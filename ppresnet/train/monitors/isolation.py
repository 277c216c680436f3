"""What is told of a run must not end it: a failure is one line, and the run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from ppresnet.train.monitors.protocol import Monitor, Numbers, Sink

Watcher = TypeVar("Watcher", Sink, Monitor)


class Isolation:
    """Turns errors into lines, one for each source of them.

    Args:
        say: is given the lines.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._told: set[str] = set()

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Let the block fail: the first time that `what` does is told, and later ones are not."""
        try:
            yield
        except Exception as error:
            if what not in self._told:
                self._told.add(what)
                self._say(f"{what} failed, and the run goes on: {error or type(error).__name__}")

    def each(self, watchers: Mapping[str, Watcher], act: Callable[[Watcher], None]) -> None:
        """Do `act` with each; one that fails is told by its name, and keeps nothing from the others."""
        for name, watcher in watchers.items():
            with self.of(name):
                act(watcher)


class Sinks:
    """Several sinks as one, none of which can end the run or keep numbers from the others.

    Args:
        sinks: by what a line about a failure calls them.
        isolation: takes their errors.
    """

    def __init__(self, sinks: Mapping[str, Sink], isolation: Isolation) -> None:
        self._sinks, self._isolation = dict(sinks), isolation

    def find(self, name: str) -> Any:
        """Return the sink of this name, None where there is none."""
        return self._sinks.get(name)

    def write(self, kind: str, step: int, numbers: Numbers) -> None:
        """Give the numbers to each sink."""
        self._isolation.each(self._sinks, lambda sink: sink.write(kind, step, numbers))

    def close(self) -> None:
        """Close each sink."""
        self._isolation.each(self._sinks, lambda sink: sink.close())


class Monitors:
    """Several monitors as one, none of which can end the run.

    Args:
        monitors: by what a line about a failure calls them.
        isolation: takes their errors.
    """

    def __init__(self, monitors: Mapping[str, Monitor], isolation: Isolation) -> None:
        self._monitors, self._isolation = dict(monitors), isolation

    def on_step(self, step: int) -> None:
        """Let each monitor look at the gradients of a step."""
        self._isolation.each(self._monitors, lambda monitor: monitor.on_step(step))

    def on_eval(self, step: int) -> None:
        """Let each monitor look at the evaluated network."""
        self._isolation.each(self._monitors, lambda monitor: monitor.on_eval(step))

    def close(self) -> None:
        """Take each monitor away from the network."""
        self._isolation.each(self._monitors, lambda monitor: monitor.close())
