"""What recipes of every kind have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import ValidationError, model_validator

from ppresnet.config import values as v

if TYPE_CHECKING:
    from ppresnet.config.rules import Conflict


class Recipe(v.Section):
    """A whole recipe: `output` defaults to `runs/` and the name, and keys that clash are an error."""

    @abstractmethod
    def _conflicts(self) -> Iterable[Conflict]:
        """Return everything that is well-formed and still cannot be done."""

    @model_validator(mode="before")
    @classmethod
    def _output_follows_name(cls, given: object) -> object:
        if isinstance(given, dict) and "name" in given and "output" not in given:
            return given | {"output": f"runs/{given['name']}"}
        return given

    @model_validator(mode="after")
    def _keys_agree(self) -> Recipe:
        found = [conflict.detail() for conflict in self._conflicts()]
        if found:
            raise ValidationError.from_exception_data(type(self).__name__, found)
        return self
