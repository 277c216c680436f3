"""The state of a pickle that is being followed, and what its instructions do to it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from ppresnet.errors import WeightsError
from ppresnet.weights.vocabulary import Ignored, Name, Restorable, Vocabulary, named, put

Persistent = Callable[[Any], Any]
_DEEPEST = 1000


class Machine:
    """Stack, marks and memo; a method that finds too little on the stack raises IndexError or KeyError.

    Args:
        vocabulary: the names that the pickle may use.
        persistent: makes a value of a persistent id; None where there must be none.
    """

    def __init__(self, vocabulary: Vocabulary, persistent: Persistent | None) -> None:
        self.vocabulary = vocabulary
        self.persistent = persistent
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def result(self) -> Any:
        """Return the one value that is left at STOP."""
        if self.marked or len(self.stack) != 1:
            raise WeightsError(f"its pickle is broken: it ends with {len(self.stack)} values, expected one")
        return self.stack[0]

    def mark(self, _: Any) -> None:
        """Begin a group of values."""
        if len(self.marked) >= _DEEPEST:
            raise WeightsError(f"its pickle is nested more than {_DEEPEST} deep")
        self.marked.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        """End the group of values, and return it."""
        items, self.stack = self.stack, self.marked.pop()
        return items

    def tuple_since_mark(self, _: Any) -> None:
        """Make the group of values a tuple."""
        items = self.since_mark()
        self.stack.append(tuple(items))

    def last(self, count: int) -> tuple[Any, ...]:
        """Take the last values off the stack, and return them."""
        if len(self.stack) < count:
            raise IndexError
        items = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        return items

    def top(self, kind: type) -> Any:
        """Return the last value, which must be of this type."""
        if not isinstance(self.stack[-1], kind):
            raise WeightsError(
                f"its pickle is broken: it fills a {type(self.stack[-1]).__name__} as if it were a {kind.__name__}"
            )
        return self.stack[-1]

    def extend(self, items: list[Any]) -> None:
        """Append to the list on top."""
        self.top(list).extend(items)

    def set_items(self, items: list[Any]) -> None:
        """Set items of the dictionary on top: a key, a value, a key, a value."""
        mapping = self.top(dict)
        if len(items) % 2:
            raise IndexError
        for key, value in zip(islice(items, 0, None, 2), islice(items, 1, None, 2), strict=True):
            put(mapping, key, value)

    def add_items(self, _: Any) -> None:
        """End the group of values, which belong to the set on top."""
        self.since_mark()
        self.top(Ignored)

    def put(self, index: int) -> None:
        """Note the value on top under a number, each number once."""
        if index in self.memo:
            raise WeightsError(f"its pickle is broken: it notes two values under {index}")
        self.memo[index] = self.stack[-1]

    def call(self, _: Any) -> None:
        """Hand arguments to the builder that the vocabulary has for a name."""
        callee, arguments = self.last(2)
        if not isinstance(callee, Name) or callee.builder is None or not isinstance(arguments, tuple):
            what = callee.text if isinstance(callee, Name) else f"a {type(callee).__name__}"
            raise WeightsError(f"its pickle calls {what[:120]}, which is not called in weights")
        self.stack.append(callee.builder(arguments))

    def build(self, _: Any) -> None:
        """Give the value below the top its content."""
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Restorable):
            target.restore(state)
        elif not isinstance(target, dict | Ignored):  # whose attributes are dropped
            raise WeightsError(f"its pickle gives attributes to a {type(target).__name__}; expected a dictionary")

    def name(self, dotted: str) -> None:
        """Look a name up in the vocabulary."""
        self.stack.append(named(dotted, self.vocabulary))

    def name_on_stack(self, _: Any) -> None:
        """Look up the name whose module and name are on the stack."""
        module, name = self.last(2)
        if not (isinstance(module, str) and isinstance(name, str)):
            raise WeightsError("its pickle has a name that is no text")
        self.name(f"{module}.{name}")

    def refer(self, _: Any) -> None:
        """Put the value in place of its persistent id."""
        if self.persistent is None:
            raise WeightsError("its pickle refers to something outside of it; expected everything inside")
        self.stack.append(self.persistent(self.stack.pop()))
