"""Images that cannot be read: named in a report, left out, and tolerated up to a share of the split."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ppresnet.errors import DataError
from ppresnet.files import atomic_write


@dataclass(frozen=True)
class Broken:
    """One image that cannot be read, and why."""

    name: str
    reason: str


class BrokenReport:
    """Collects the broken images of a run; each counts once, however many epochs meet it.

    Args:
        limit_share: share of `total` that may be broken (`data.max_broken`).
        total: images in the split.
    """

    def __init__(self, limit_share: float, total: int) -> None:
        self.limit_share, self.total = limit_share, total
        self._reasons: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._reasons)

    @property
    def broken(self) -> tuple[Broken, ...]:
        """The broken images by name."""
        return tuple(Broken(name, reason) for name, reason in sorted(self._reasons.items()))

    def add(self, broken: Iterable[Broken]) -> None:
        """Takes in what a batch left out.

        Raises:
            DataError: more images than tolerated are broken; the message names the first of them.
        """
        for item in broken:
            self._reasons.setdefault(item.name, item.reason)
        if len(self) > self.limit_share * self.total:
            shown = "; ".join(f"{item.name}: {item.reason}" for item in self.broken[:5])
            raise DataError(
                f"{len(self)} of {self.total} images cannot be read, more than the share of {self.limit_share:g} that "
                f"data.max_broken tolerates: {shown}; repair or remove them, or raise data.max_broken"
            )

    def write(self, path: str | Path) -> None:
        """Writes the report as JSON: `total`, `limit_share` and `broken` (`name`, `reason`), sorted by name."""
        items = [{"name": item.name, "reason": item.reason} for item in self.broken]
        report = {"total": self.total, "limit_share": self.limit_share, "broken": items}
        # In ASCII, because a file name that is no UTF-8 has characters that no encoding takes.
        atomic_write(path, json.dumps(report, indent=2) + "\n")
