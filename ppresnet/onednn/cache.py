"""Primitives kept for reuse, as many as a bound allows."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class PrimitiveCache(Generic[Value]):
    """The most recently used values by key; what falls out is destroyed with its last user.

    Several threads may use it at once; a value is made once.

    Args:
        capacity: how many values stay.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._lock = threading.RLock()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of `key`, from `make` where it is not here; what `make` raises is passed on."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            value = self._values[key] = make()
            if len(self._values) > self.capacity:
                self._values.popitem(last=False)
            return value

    def clear(self) -> None:
        """Let go of every value."""
        with self._lock:
            self._values.clear()

    def __len__(self) -> int:
        return len(self._values)
