"""A runtime in a process of its own: a crash, a hang or corrupt memory there is a finding, not the end of the tool."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from multiprocessing import Pipe
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppresnet.errors import CheckFailedError
from ppresnet.processes import ending

_LAST_LINES = 3


@dataclass(frozen=True)
class Entry:
    """What is run: `backend` is `paddle native`, `paddle onednn`, `paddle openvino`, `onnxruntime` or `openvino`.

    Attributes:
        backend: whose kernels.
        precision: `fp32`, `bf16` or `int8`; int8 for a quantised bundle and nothing else.
        format: of the program: `json`, `pdmodel` or `onnx`.
        threads: of the kernels; None leaves what the environment says.
        batch: compile for this batch alone, where the backend can.
    """

    backend: str
    precision: str = "fp32"
    format: str = "pdmodel"
    threads: int | None = None
    batch: int | None = None


class Contender:
    """One process that runs entries on batches; a context manager. It sleeps (SIGSTOP) between `time` calls.

    Args:
        directory: a bundle, finished or staged.
        timeout: seconds that one request may take.
    """

    def __init__(self, directory: Path, timeout: float = 300.0) -> None:
        self._timeout, self._stopped = timeout, False
        self._connection, theirs = Pipe()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        self._temporary = tempfile.TemporaryDirectory(prefix="ppresnet-")  # the process is killed, and cannot tidy up
        paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        environment = os.environ | {"PYTHONPATH": paths, "TMPDIR": self._temporary.name}
        command = [
            sys.executable,
            str(Path(__file__).with_name("contender_process.py")),
            str(theirs.fileno()),
            str(directory),
        ]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env=environment,
                pass_fds=[theirs.fileno()],
            )

    def __enter__(self) -> Contender:
        """Return itself; the process is starting."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End the process."""
        self.end()

    @property
    def alive(self) -> bool:
        """Whether the process can still be asked."""
        return self._process.poll() is None

    def open(self, entry: Entry) -> None:
        """Load an entry, in the place of the one before. Raises as `run`."""
        self._ask("open", asdict(entry))

    def run(self, images_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits, float32 [batch, classes], of the entry that is open.

        Raises:
            CheckFailedError: it failed, crashed or took too long.
        """
        return np.asarray(self._ask("run", images_NCHW))

    def time(self, images_NCHW: NDArray[np.float32], warmup: int, calls: int) -> list[float]:
        """Return the milliseconds of each of `calls` runs that follow `warmup` untimed ones. Raises as `run`."""
        found: list[float] = self._ask("time", (images_NCHW, warmup, calls))
        return found

    def sleep(self) -> None:
        """Stop the process until it is asked again, so that its idle threads, which spin, take no time from others."""
        if self.alive:
            self._process.send_signal(signal.SIGSTOP)
            self._stopped = True

    def end(self) -> None:
        """Kill the process."""
        self._connection.close()
        self._process.kill()
        self._process.wait()
        self._log.close()
        self._temporary.cleanup()

    def _ask(self, verb: str, value: Any) -> Any:
        if self._stopped:
            self._process.send_signal(signal.SIGCONT)
            self._stopped = False
        try:
            self._connection.send((verb, value))
            if not self._connection.poll(self._timeout):
                self._process.kill()
                raise CheckFailedError(f"no answer within {self._timeout:g} s")
            good, answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise CheckFailedError(self._last_words()) from error
        if not good:
            raise CheckFailedError(answer)
        return answer

    def _last_words(self) -> str:
        ended = ending(self._process.wait())
        self._log.seek(0)
        lines = [line.strip() for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        return f"its process {ended}: {' | '.join(lines[-_LAST_LINES:]) or 'no output'}"
