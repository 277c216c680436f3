"""The exceptions a user can meet, each with the exit code of the command that ends with it.

Exit codes: 1 the work failed, 2 the request is wrong, 3 a check did not hold.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any


class PpresnetError(Exception):
    """Base of every error that is the user's business; its message says expected, found and remedy."""

    exit_code = 1


class RequestError(PpresnetError):
    """What was asked for cannot be done as asked: a missing file, a wrong path, a run in the way."""

    exit_code = 2


class ConfigError(RequestError):
    """One or more things are wrong in a recipe or a model spec.

    Args:
        problems: every problem found, one sentence each; the message lists them all.
    """

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class DataError(RequestError):
    """A data set is missing, empty, mislabelled or has more broken images than tolerated."""


class CheckpointError(RequestError):
    """A checkpoint is missing, incomplete or altered."""


class WeightsError(RequestError):
    """Foreign weights are missing, broken, of no known format, or hold more than data."""


class BundleError(RequestError):
    """A deployment bundle is missing, incomplete or altered."""


class BusyError(RequestError):
    """Another process holds the lock of this output folder."""


class StorageError(PpresnetError):
    """A write failed (disk full, no permission); what stood there before is untouched."""


class DivergedError(PpresnetError):
    """The loss or a gradient became NaN or infinite; the weights were not touched by it."""


class InterruptedRunError(PpresnetError):
    """SIGTERM or SIGINT ended a run after its state was saved; it can be resumed."""


class ProcessError(PpresnetError):
    """One of several processes failed; all end with its message and its exit code.

    Args:
        message: what that process said.
        exit_code: what it ended with.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class CheckFailedError(PpresnetError):
    """A check did not hold: parity, fusion or an accuracy floor.

    Args:
        message: what did not hold.
        result: what was found all the same, for `--json`.
    """

    exit_code = 3

    def __init__(self, message: str, result: Mapping[str, Any] | Sequence[Any] | None = None) -> None:
        super().__init__(message)
        self.result = result


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the known name closest to `name`, or nothing when none is close."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""
