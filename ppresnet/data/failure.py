"""An exception on its way from a worker process to its parent, as text, which always arrives."""

import traceback
from dataclasses import dataclass
from typing import NoReturn

from ppresnet.errors import DataError


@dataclass(frozen=True)
class Failure:
    """What a worker raised: a DataError's message, or for any other exception its type and message, and the trace."""

    message: str
    trace: str
    user: bool

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        """Packs the exception being handled."""
        user = isinstance(error, DataError)
        return cls(str(error) if user else f"{type(error).__name__}: {error}", traceback.format_exc(), user)

    def throw(self) -> NoReturn:
        """Raises DataError for a DataError, RuntimeError for any other exception; the trace is the cause."""
        cause = RuntimeError(f"in a data worker:\n{self.trace}")
        if self.user:
            raise DataError(self.message) from cause
        raise RuntimeError(self.message) from cause
