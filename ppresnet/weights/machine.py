"""A stack machine for pickles in which every value is plain data: there is nothing in it that could call anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ppresnet.errors import WeightsError
from ppresnet.weights.opcodes import instructions
from ppresnet.weights.stack import Machine, Persistent
from ppresnet.weights.vocabulary import Ignored, Vocabulary


def evaluate(
    data: memoryview, start: int, vocabulary: Vocabulary, most: int, persistent: Persistent | None = None
) -> tuple[Any, int]:
    """Return the value of the pickle that begins at `start`, and where it ends.

    Args:
        data: the file.
        start: first byte.
        vocabulary: the names it may use.
        most: instructions that are followed at most.
        persistent: makes a value of a persistent id; None where there must be none.

    Raises:
        WeightsError: it is broken, too long, or asks for more than data.
    """
    machine = Machine(vocabulary, persistent)
    for instruction in instructions(data, start, most):
        if instruction.name == "STOP":
            return machine.result(), instruction.end
        try:
            STEPS[instruction.name](machine, instruction.argument)
        except (IndexError, KeyError) as error:
            raise WeightsError(
                f"its pickle is broken: {instruction.name} before byte {instruction.end} finds nothing to work on"
            ) from error
    raise AssertionError("instructions end with STOP or with an error")


def _push(value: Callable[[], Any]) -> Callable[[Machine, Any], None]:
    return lambda machine, _: machine.stack.append(value())


def _pack(count: int) -> Callable[[Machine, Any], None]:
    return lambda machine, _: machine.stack.append(machine.last(count))


STEPS: Mapping[str, Callable[[Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "MARK": Machine.mark,
    "NONE": _push(lambda: None),
    "TRUE": _push(lambda: True),
    "FALSE": _push(lambda: False),
    "VALUE": lambda machine, value: machine.stack.append(value),
    "DICT": _push(dict),
    "LIST": _push(list),
    "SET": _push(Ignored),
    "ADDITEMS": Machine.add_items,
    "TUPLE0": _push(tuple),
    "TUPLE1": _pack(1),
    "TUPLE2": _pack(2),
    "TUPLE3": _pack(3),
    "TUPLE": Machine.tuple_since_mark,
    "APPEND": lambda machine, _: machine.extend(list(machine.last(1))),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.set_items(list(machine.last(2))),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "PUT": Machine.put,
    "MEMOIZE": lambda machine, _: machine.put(len(machine.memo)),
    "GET": lambda machine, index: machine.stack.append(machine.memo[index]),
    "GLOBAL": Machine.name,
    "STACK_GLOBAL": Machine.name_on_stack,
    "REDUCE": Machine.call,
    "NEWOBJ": Machine.call,
    "BUILD": Machine.build,
    "PERSISTENT": Machine.refer,
}
