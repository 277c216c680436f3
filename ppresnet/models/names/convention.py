"""How another library names the tensors of a network."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Rule = tuple[str, str | Callable[[re.Match[str]], str]]


@dataclass(frozen=True)
class Convention:
    """From our names to theirs.

    Attributes:
        rules: pattern and replacement; each is applied in turn to every name of our state dict.
        linear_is_transposed: their linear layers hold [out, in], as PyTorch's do; Paddle's hold [in, out].
        ignored: pattern of their names that have no counterpart here.
        refused: patterns of their names that only another architecture has, each with a sentence that says which.
        older: from names that they used once and that old files still have, to today's.
    """

    rules: tuple[Rule, ...]
    linear_is_transposed: bool
    ignored: str = r"$^"
    refused: tuple[tuple[str, str], ...] = ()
    older: tuple[Rule, ...] = ()

    def theirs(self, name: str) -> str:
        """Return their name of our tensor `name`."""
        for pattern, replacement in self.rules:
            name = re.sub(pattern, replacement, name)
        return name

    def todays(self, name: str) -> str:
        """Return today's form of one of their names."""
        for pattern, replacement in self.older:
            name = re.sub(pattern, replacement, name)
        return name


Names = Mapping[str, Convention | Callable[[Any], Convention]]  # by source; some depend on the spec

PYTORCH_BUFFERS: tuple[Rule, ...] = ((r"\._mean$", ".running_mean"), (r"\._variance$", ".running_var"))


def pytorch(*rules: Rule, older: tuple[Rule, ...] = ()) -> Convention:
    """Return the convention of a PyTorch library: its buffers, transposed linear weights, counted batches ignored."""
    return Convention(
        rules + PYTORCH_BUFFERS, linear_is_transposed=True, ignored=r"\.num_batches_tracked$", older=older
    )


def paddle(*rules: Rule, refused: tuple[tuple[str, str], ...] = ()) -> Convention:
    """Return the convention of a Paddle library, which differs in names alone."""
    return Convention(rules, linear_is_transposed=False, refused=refused)


def plus_one(prefix: str) -> Callable[[re.Match[str]], str]:
    """Return a replacement that counts from one where we count from zero: `layer` turns match[1]=0 into `layer1.`."""
    return lambda match: f"{prefix}{int(match[1]) + 1}."
