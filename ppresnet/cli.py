"""What every command shares: its flags, its exit codes, its result as JSON."""

import argparse
import io
import json
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppresnet.errors import CheckFailedError, PpresnetError
from ppresnet.files import atomic_write

if TYPE_CHECKING:
    from rich.console import Console

Result = Mapping[str, Any] | Sequence[Any] | None


def parser(description: str, *, recipe: bool | None = None) -> argparse.ArgumentParser:
    """Return a parser with `--json` and `--debug`.

    Args:
        description: shown by `-h`.
        recipe: add `-c` and `-o`; True requires `-c`, False makes it optional, None leaves both out.
    """
    made = argparse.ArgumentParser(description=description)
    if recipe is not None:
        made.add_argument("-c", "--config", type=Path, required=recipe, metavar="FILE", help="recipe (YAML)")
        made.add_argument(
            "-o",
            dest="overrides",
            action="extend",
            nargs="+",
            default=[],
            metavar="KEY=VALUE",
            help="override keys of the recipe, such as optim.lr=0.05; may be repeated",
        )
    made.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")
    made.add_argument("--debug", action="store_true", help="show tracebacks")
    return made


def run(main: Callable[[argparse.Namespace], Result], arguments: argparse.Namespace) -> int:
    """Run a command and return its exit code: 0 done, 1 failed, 2 the request is wrong, 3 a check did not hold.

    Args:
        main: does the work; what it returns goes to `--json`, and so does what a failed check has found.
        arguments: from `parser`.
    """
    _print_any_name()
    try:
        _finish(main, arguments)
    except PpresnetError as error:
        return _fail(str(error), error.exit_code, arguments.debug)
    except KeyboardInterrupt:
        return _fail("interrupted", 1, arguments.debug)
    except BrokenPipeError:
        return 1
    except Exception as error:  # the last line of defence: a bug of ours must not look like success
        return _fail(f"unexpected {type(error).__name__}: {error}; --debug shows where", 1, arguments.debug)
    return 0


def _finish(main: Callable[[argparse.Namespace], Result], arguments: argparse.Namespace) -> None:
    try:
        result = main(arguments)
    except CheckFailedError as failed:
        write_json(arguments, failed.result)
        raise
    write_json(arguments, result)


def write_json(arguments: argparse.Namespace, result: Result) -> None:
    """Write a result to `--json`, where that is asked for; `run` does so, and a command that has to do it earlier."""
    if arguments.json is not None and result is not None:
        atomic_write(arguments.json, json.dumps(result, indent=2) + "\n")


def positive(text: str) -> int:
    """Return a number from 1 on, as the `type` of an argument."""
    if not (text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, found '{text}'")
    return int(text)


def tidy_on_sigterm() -> None:
    """Let SIGTERM end a command as SIGINT does, so that it removes what is temporary and ends its helpers.

    `import paddle` in this process undoes it.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def console(piped_width: int | None = 150) -> "Console":
    """Return a console on stdout for which names are text, whatever brackets and colons they hold.

    Args:
        piped_width: columns of a table that goes into a file or a pipe; rich alone would take 80.
    """
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else piped_width, markup=False, emoji=False)


def say(line: str) -> None:
    """Print a line of progress to stderr."""
    print(line, file=sys.stderr, flush=True)


def _print_any_name() -> None:
    """Print file names that are no UTF-8, and characters that a terminal lacks, as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    say(f"error: {message}")
    return code
