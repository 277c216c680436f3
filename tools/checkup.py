"""One finding of `tools/doctor.py`, and how an error becomes one."""

from dataclasses import dataclass
from typing import Literal

from ppresnet.errors import PpresnetError

Status = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Check:
    """What was looked at, how it stands, what was found, and what to do about it; `advice` is empty where all is well.

    A warning tells what will be missing or slow; only what has failed keeps a run from ending well.
    """

    name: str
    status: Status
    found: str
    advice: str = ""


def failure(name: str, error: PpresnetError) -> Check:
    """Return the check that ended with an error of this project; the error says what was expected and what to do."""
    return Check(name, "failed", str(error))
