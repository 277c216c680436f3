"""One process at a time in a folder."""

import fcntl
import os
from pathlib import Path
from types import TracebackType

from ppresnet.errors import BusyError
from ppresnet.files.durable import make_folder, storage_errors


class DirectoryLock:
    """Context manager that holds `path/.lock` with flock; the kernel releases it however the process ends.

    Raises:
        BusyError: another process holds it; the message names its pid.
        StorageError: the lock file could not be made.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).resolve()
        self._descriptor: int | None = None

    def __enter__(self) -> "DirectoryLock":
        """Take the lock or raise; never waits."""
        with storage_errors(self.path, "lock"):
            make_folder(self.path)
            descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
            try:
                self._take(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
        self._descriptor = descriptor
        return self

    def _take(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise BusyError(
                f"{self.path} is in use by process {holder}; wait for it to end, stop it, or choose another folder"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the lock; the file stays, because deleting it would let two processes hold two files."""
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = None
