"""The names a pickle may use, each with what we make of it: our own inert data, never the thing that is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ppresnet.errors import WeightsError

Builder = Callable[[tuple[Any, ...]], Any]
Vocabulary = Mapping[str, Builder | None]  # None: may be named, not called

_ELSEWHERE = {"__builtin__.": "builtins.", "copy_reg.": "copyreg.", "numpy._core.": "numpy.core."}


@dataclass(frozen=True)
class Name:
    """A name from the file that the vocabulary knows."""

    text: str
    builder: Builder | None


class Ignored:
    """Stands for something harmless that is no tensor; whatever it is given is dropped."""


class Restorable:
    """Takes its content from the instruction BUILD, once."""

    def restore(self, state: Any) -> None:
        """Take over the content."""
        raise NotImplementedError


def named(dotted: str, vocabulary: Vocabulary) -> Name:
    """Return the entry of a name.

    Raises:
        WeightsError: the vocabulary does not know it.
    """
    for elsewhere, here in _ELSEWHERE.items():
        if dotted.startswith(elsewhere):
            dotted = here + dotted.removeprefix(elsewhere)
    if dotted not in vocabulary:
        raise WeightsError(
            f"it asks for {dotted[:120]!r}, which is no part of a tensor; it was read no further and nothing was run. "
            "Expected a dictionary of tensors: save the network's state_dict()"
        )
    return Name(dotted, vocabulary[dotted])


def _dictionary(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """Rebuild an OrderedDict; Python 2 hands its pairs over as one list."""
    if arguments and not (len(arguments) == 1 and isinstance(arguments[0], list)):
        raise WeightsError("an OrderedDict in it has arguments that are no list of pairs")
    made: dict[Any, Any] = {}
    for pair in arguments[0] if arguments else ():
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise WeightsError("an OrderedDict in it has arguments that are no list of pairs")
        put(made, pair[0], pair[1])
    return made


def put(mapping: dict[Any, Any], key: Any, value: Any) -> None:
    """Set an item.

    Raises:
        WeightsError: the key is no text and no whole number, or is there already.
    """
    # Tuples are not taken: hashing nested ones can take for ever.
    if type(key) not in (str, int):
        raise WeightsError(f"a dictionary in it has a key of type {type(key).__name__}; expected text")
    if key in mapping:
        raise WeightsError(f"{str(key)[:120]!r} is in it twice; which one is meant cannot be known")
    mapping[key] = value


def _empty(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    return {}


def _ignored(arguments: tuple[Any, ...]) -> Ignored:
    return Ignored()


PLAIN: Vocabulary = {
    "collections.OrderedDict": _dictionary,
    "collections.Counter": _ignored,
    "collections.defaultdict": _empty,
    "argparse.Namespace": _ignored,
    "pathlib.PosixPath": _ignored,
    "builtins.set": _ignored,
    **{f"builtins.{kind}": None for kind in ("dict", "list", "int", "float", "str")},
}
