"""What SQLite and the system say at open, mapped to one sentence that says what to do."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from pmwatchd.errors import JournalCorruptError, JournalLockedError, JournalUnwritableError

# Operational errors that tell of the file and not of the disk's mood: a table
# that is missing, a sector that cannot be read, an end that is cut off.
_DAMAGE = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_IOERR_READ,
        sqlite3.SQLITE_IOERR_SHORT_READ,
        sqlite3.SQLITE_IOERR_CORRUPTFS,
    }
)


@contextlib.contextmanager
def at_open(path: Path) -> Iterator[None]:
    """
    Map foreign errors while *path* is opened.

    Raises:
        JournalLockedError: Another program has it open.
        JournalCorruptError: It is damaged.
        JournalUnwritableError: It, or its directory, cannot be written.
    """
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        code = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF == sqlite3.SQLITE_BUSY:
            raise JournalLockedError(
                f"another program, perhaps sqlite3 or a backup, has {path} open. End it first"
            ) from error
        if code in _DAMAGE:
            raise _corrupt(path, error) from error
        raise JournalUnwritableError(
            f"{path} cannot be opened for writing: {cause(error)}. "
            f"Check owner, free space and mount of {path.parent}"
        ) from error
    except (sqlite3.DatabaseError, ValueError) as error:
        raise _corrupt(path, error) from error


def cause(error: BaseException | None) -> str:
    """What went wrong, with SQLite's own name for it."""
    name = getattr(error, "sqlite_errorname", None)
    return f"{error} ({name})" if name else str(error)


def _corrupt(path: Path, error: Exception) -> JournalCorruptError:
    return JournalCorruptError(
        f"the journal {path} is damaged: {cause(error)}. It stays where it is. Restore it from a "
        f"backup together with {path.name}-wal; or start once with `pmwatchd run "
        "--accept-empty-journal`, which keeps it aside and begins an empty one, knowing that "
        "every operation that was open and every maintenance is then forgotten: a host that "
        "was switched off stays off until a person switches it on"
    )
