"""A file lock: one daemon for one state directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self

from pmwatchd.errors import JournalLockedError, JournalUnwritableError


class DirectoryLock:
    """
    Held until :meth:`release` or the end of the process, however that comes.

    The file stays behind: removing it would let two daemons each lock a file
    of its own.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, state_dir: Path) -> Self:
        """
        Lock *state_dir*, which is created (mode 0700) when it is missing.

        Raises:
            JournalLockedError: Another process holds it; names that process.
            JournalUnwritableError: The directory cannot be made or written.
        """
        path = state_dir / "pmwatchd.lock"
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalUnwritableError(
                f"the state directory {state_dir} cannot be used: {error.strerror}. "
                "Create it, owned by the user of the daemon with mode 0700, "
                "or set `state_dir` to a directory that it may write"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise JournalLockedError(
                f"another daemon, process {holder or 'unknown'}, has {state_dir} open. "
                "Stop that one first, or give this one a `state_dir` and hosts of its own"
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise JournalUnwritableError(
                f"{path} cannot be locked: {error.strerror}. "
                "The state directory must be on a local, writable file system with free space"
            ) from error
        return cls(descriptor)

    def release(self) -> None:
        """Let the next daemon in; once."""
        # An old number must not be shown as the holder; the lock itself ends with the close.
        try:
            os.ftruncate(self._descriptor, 0)
        finally:
            os.close(self._descriptor)
