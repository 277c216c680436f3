"""What the sections are built from: the strict frozen base class and the value types they share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict
from pydantic_core import PydanticCustomError

from ppresnet.errors import did_you_mean


class Section(BaseModel):
    """A frozen group of keys: unknown ones are forbidden and no value is converted from another type."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class FrozenMapping(Mapping[str, object]):
    """An immutable mapping that can be hashed, compared and pickled; lists inside become tuples."""

    def __init__(self, items: Mapping[str, object]) -> None:
        """Copy `items`, so that a later change of them is not seen."""
        self._items = {str(key): _frozen(value) for key, value in items.items()}

    def __getitem__(self, key: str) -> object:
        """Return the value of `key`."""
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        """Return the keys in the order they were given."""
        return iter(self._items)

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._items)

    def __hash__(self) -> int:
        """Return a hash that does not depend on the order of the keys."""
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        """Return the items as a dict shows them."""
        return f"FrozenMapping({self._items!r})"


def _frozen(value: object) -> object:
    if isinstance(value, Mapping):
        return FrozenMapping(value)
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item) for item in value)
    return value


def expected(text: str) -> PydanticCustomError:
    """Return an error that reads `expected <text>, found <the value>`."""
    return PydanticCustomError("expected", "expected {expected}", {"expected": text})


def _known_model(name: str) -> str:
    from ppresnet.spec import MODELS

    if name not in MODELS:
        remedy = did_you_mean(name, MODELS) or "; tools/zoo.py lists every model"
        raise PydanticCustomError("wrong", "{text}", {"text": f"unknown model '{name}'{remedy}"})
    return name


def usual_of(model: object) -> dict[str, str]:
    """Return the activation and the normalisation that a model of this name has unless told otherwise."""
    from ppresnet.spec import MODELS

    if not isinstance(model, str) or model not in MODELS:
        return {}
    spec = MODELS[model](model)
    return {"act": spec.act, "norm": spec.norm}


def _known_activation(name: str) -> str:
    from ppresnet.spec import Activation

    return _one_of(name, get_args(Activation))


def _known_norm(name: str) -> str:
    from ppresnet.spec import Norm

    return _one_of(name, get_args(Norm))


def _one_of(name: str, names: tuple[str, ...]) -> str:
    if name not in names:
        raise expected(" or ".join(names))
    return name


def _grey_or_colour(channels: int) -> int:
    if channels not in (1, 3):
        raise expected("1 (grey) or 3 (colour)")
    return channels


def _thread_count(value: object) -> object:
    if value == "auto" or (type(value) is int and value >= 1):
        return value
    raise expected("auto or an integer of at least 1")


def _increasing(epochs: tuple[int, ...]) -> tuple[int, ...]:
    if list(epochs) != sorted(set(epochs)):
        raise expected("epochs in increasing order")
    return epochs


def _prom_file(path: str) -> str:
    if not path.endswith(".prom"):
        raise expected("a path that ends in .prom, since node-exporter reads no other")
    return path


Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
ShareBelowOne = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]
PromFile = Annotated[str, AfterValidator(_prom_file)]
RunName = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
ModelName = Annotated[str, AfterValidator(_known_model)]
ActivationName = Annotated[str, AfterValidator(_known_activation)]
NormName = Annotated[str, AfterValidator(_known_norm)]
Channels = Annotated[int, AfterValidator(_grey_or_colour)]
Threads = Annotated[Literal["auto"] | Count, BeforeValidator(_thread_count)]
Means = Annotated[tuple[Share, ...], Strict(False)]
Deviations = Annotated[tuple[Positive, ...], Strict(False)]
OpNames = Annotated[tuple[Text, ...], Strict(False)]
Milestones = Annotated[tuple[Count, ...], Strict(False), AfterValidator(_increasing)]
