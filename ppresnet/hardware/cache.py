"""Measurements of this machine, kept in a file between runs."""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ppresnet.errors import StorageError
from ppresnet.hardware.measurement import TIME_LIMIT_S, Measurement, Prober
from ppresnet.hardware.probe import CONVOLUTIONS, PRODUCTS

CACHE_VERSION, KEPT_MACHINES = 1, 32


class ProbeCache:
    """Measurements of this machine, kept in a file between runs.

    A file that is missing, broken or not ours is as good as empty; `save` writes a good one in its place.

    Args:
        identity: all that a measurement depends on besides its candidate: CPU, library, cores.
        prober: measures one candidate, `(mkl, threads) -> Measurement`.
        path: the file; None: `hardware.json` in the user's cache folder.
    """

    def __init__(self, identity: str, prober: Prober, path: Path | None = None) -> None:
        """Read the file."""
        self._key = hashlib.sha256(f"{identity} {PRODUCTS} {CONVOLUTIONS}".encode()).hexdigest()
        self._prober = prober
        self._path = path or cache_path()
        self._known = {(m.mkl, m.threads): m for m in _kept(_read(self._path).get(self._key))}
        self._measured: set[tuple[str | None, int]] = set()

    def measurement(self, mkl: str | None, threads: int) -> Measurement:
        """Return the measurement of one candidate, made now unless a settled one is known."""
        candidate = (mkl, threads)
        known = self._known.get(candidate)
        if candidate not in self._measured and not (known and known.settled):
            new = self._prober(mkl, threads)
            self._known[candidate] = known.merged(new) if known else new
            self._measured.add(candidate)
        return self._known[candidate]

    def save(self) -> str:
        """Write what was measured now, and say how that went in a few words; never raises."""
        if not self._measured:
            return "known from before"
        from ppresnet.files import atomic_write

        machines = _read(self._path)
        machines[self._key] = [asdict(m) for m in self._known.values()]
        newest = dict(list(machines.items())[-KEPT_MACHINES:])
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(self._path, json.dumps({"version": CACHE_VERSION, "machines": newest}, indent=1) + "\n")
        except (OSError, StorageError) as error:
            return f"not kept for the next run: {error}"
        unsettled = not all(m.settled for m in self._known.values())
        return "the cores were busy, so the next run measures again" if unsettled else f"kept in {self._path}"


def cache_path() -> Path:
    """Return `ppresnet/hardware.json` under XDG_CACHE_HOME or `~/.cache`."""
    folder = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (folder if folder.is_absolute() else Path("~/.cache").expanduser()) / "ppresnet" / "hardware.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    ours = isinstance(found, dict) and found.get("version") == CACHE_VERSION and isinstance(found.get("machines"), dict)
    return dict(found["machines"]) if ours else {}


def _kept(entries: Any) -> list[Measurement]:
    """Return the measurements of one machine; none when any of them is not one of ours."""
    try:
        kept = [Measurement(**{**entry, "seconds": tuple(entry["seconds"])}) for entry in entries]
        return kept if all(map(_plausible, kept)) else []
    except (TypeError, KeyError, ValueError):
        return []


def _plausible(m: Measurement) -> bool:
    times = all(isinstance(s, float) and 0 < s < TIME_LIMIT_S for s in m.seconds)
    types = (m.mkl is None or isinstance(m.mkl, str)) and isinstance(m.problem, str) and isinstance(m.share, float)
    counts = type(m.threads) is int and type(m.rounds) is int and len(m.seconds) == (0 if m.problem else PRODUCTS)
    return times and types and counts
