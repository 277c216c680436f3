"""Several processes of a program on this machine: Paddle's launcher, watched and answered for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ppresnet.processes import ends_with_parent, module_command
from ppresnet.train.blame import judge
from ppresnet.train.outcome import FOLDER_VARIABLE, died, pids
from ppresnet.train.preempt import Preemption

POLL_S = 0.1
GRACE_S = 30.0  # for processes whose launcher is gone


def launch(program: Path, arguments: Sequence[str], processes: int) -> None:
    """Run a program in several processes on the CPU, and wait for them; output of the first one goes to stderr.

    SIGTERM and SIGINT are passed on. The processes end with this one: even when it is killed they get SIGTERM.

    Args:
        program: a Python file, which enters `recorded` and joins the others with `ranks.join`.
        arguments: of the program.
        processes: how many.

    Raises:
        ProcessError: with message and exit code of the process that failed first.
    """
    with TemporaryDirectory(prefix="ppresnet-") as name, Preemption() as signals:
        folder = Path(name)
        with (folder / "launcher.log").open("wb") as log:
            launcher = subprocess.Popen(  # noqa: S603 - Paddle's launcher and our own program
                _command(program, arguments, processes, folder),
                env=_environment(os.environ, folder, processes),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=ends_with_parent(signal.SIGKILL),
            )
        try:
            _Watch(folder, launcher, signals).run()
        finally:
            _end(launcher, folder)
        judge(folder, launcher.returncode, processes, signals.signal_name)


@dataclass
class _Watch:
    """Passes output and signals on until the launcher has ended."""

    folder: Path
    launcher: subprocess.Popen[bytes]
    signals: Preemption
    shown: int = 0
    passed_on: bool = False

    def run(self) -> None:
        while self.launcher.poll() is None:
            self._show()
            if self.signals.signal_name is not None and not self.passed_on:
                self._pass_on(signal.Signals[self.signals.signal_name])
            time.sleep(POLL_S)
        self._show()

    def _pass_on(self, number: signal.Signals) -> None:
        # Directly, since the launcher would kill those that take longer than 30 s to save their state.
        ready = pids(self.folder)
        for pid in ready:
            _send(pid, number)
        if not ready:
            self.launcher.terminate()
        self.passed_on = True

    def _show(self) -> None:
        log = self.folder / "workerlog.0"
        if not log.exists():
            return
        with log.open("rb") as file:
            file.seek(self.shown)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self.shown += len(whole)
        sys.stderr.write(whole.decode("utf-8", "replace"))
        sys.stderr.flush()


def _command(program: Path, arguments: Sequence[str], processes: int, folder: Path) -> list[str]:
    options = ["--nproc_per_node", str(processes), "--host", "127.0.0.1", "--log_dir", str(folder)]
    return module_command("paddle.distributed.launch", *options, str(program), *arguments)


def _environment(given: Mapping[str, str], folder: Path, processes: int) -> dict[str, str]:
    """Return the environment without what another launcher may have left in it, and without devices."""
    left_out = ("PADDLE_", "POD_")
    kept = {name: value for name, value in given.items() if not name.startswith(left_out)}
    # The launcher wants a device for each process wherever it sees any.
    hidden = {"CUDA_VISIBLE_DEVICES": ",".join(["-1"] * processes)}
    return kept | hidden | {"PADDLE_DISTRI_BACKEND": "gloo", FOLDER_VARIABLE: str(folder), "GLOG_minloglevel": "2"}


def _end(launcher: subprocess.Popen[bytes], folder: Path) -> None:
    """Leave no process behind."""
    if launcher.poll() is None:
        for pid in pids(folder):
            _send(pid, signal.SIGKILL)
        launcher.terminate()
        try:
            launcher.wait(10)
        except subprocess.TimeoutExpired:
            launcher.kill()
            launcher.wait()
    deadline = time.monotonic() + GRACE_S
    while (left := [pid for pid in pids(folder) if not died(pid)]) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    for pid in left:
        _send(pid, signal.SIGKILL)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
