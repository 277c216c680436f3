"""Running a step as a command in a process of its own, which does not outlive this one."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence

from ppresnet.errors import InterruptedRunError, ProcessError
from ppresnet.processes import ends_with_parent, exit_name
from ppresnet.train.preempt import Preemption

POLL_S = 0.2


def run(title: str, arguments: Sequence[str]) -> None:
    """Run Python with these arguments and wait; what it prints goes to stderr.

    SIGTERM and SIGINT are passed on as SIGTERM, at which a training saves its state.

    Args:
        title: of the step.
        arguments: of the interpreter.

    Raises:
        ProcessError: it failed, with its exit code; it has said why.
        InterruptedRunError: a signal came.
    """
    with Preemption() as signals:
        process = subprocess.Popen(  # noqa: S603 - our own commands
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            preexec_fn=ends_with_parent(signal.SIGKILL),
        )
        told = False
        while process.poll() is None:
            if signals.signal_name is not None and not told:
                process.terminate()
                told = True
            try:
                process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                continue
    if signals.signal_name is not None:
        raise InterruptedRunError(
            f"{signals.signal_name} during the step '{title}'; the same command goes on from there"
        )
    if code := process.returncode:
        raise ProcessError(
            f"the step '{title}' ended with {exit_name(code)}; its message stands above. Steps before it are kept: "
            "the same command goes on from there",
            code if code > 0 else 1,
        )
