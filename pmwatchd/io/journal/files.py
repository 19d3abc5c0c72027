"""
The files of a journal: made whole, moved aside when damaged, never half there.

::

    journal.db.building   being made; worth nothing
    journal.db.next       complete and durable; takes its place now, or at the next start
    journal.db            the journal, and journal.db-wal, the log of its latest changes
    journal.db.corrupt-*  a damaged one with its log, for a person to look at

A file that is there but empty is therefore damage, and never a new journal.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pmwatchd.io.journal.tables import migrate, transaction

_LOG = "-wal"
_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\0"
_VERSION = slice(60, 64)  # where PRAGMA user_version lies


@dataclass(frozen=True, slots=True)
class Replaced:
    """
    A damaged journal was replaced at this start.

    Attributes:
        kept: Where the damaged one lies now; its log beside it, if it had one.
        reason: What was found.
        lost: What the new one does not have, in words.
    """

    kept: Path
    reason: str
    lost: str


def present(path: Path) -> bool:
    """Whether there is a journal, or a log that lost its journal."""
    return path.exists() or _beside(path, _LOG).exists()


def look(path: Path) -> None:
    """
    See that *path* is a database with tables, before SQLite sees it.

    SQLite takes a file that lost its content for a new one, and removes a log
    that it cannot match with its file.

    Raises:
        sqlite3.DatabaseError: It is none.
        OSError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        raise sqlite3.DatabaseError(f"there is {path.name}{_LOG}, but no {path.name}") from None
    if len(header) < _HEADER_BYTES:
        raise sqlite3.DatabaseError("it is empty or cut off")
    if not header.startswith(_MAGIC) or not any(header[_VERSION]):
        raise sqlite3.DatabaseError("its first page is no beginning of a journal")


def make(path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """
    Make a complete journal that :func:`settle` puts at *path*; only we can read it.

    Args:
        fill: Puts in what the new journal begins with.

    Raises:
        OSError, sqlite3.Error: The disk does not take it; nothing has changed.
    """
    building = _beside(path, ".building")
    for leftover in ("", "-journal", _LOG):
        _beside(building, leftover).unlink(missing_ok=True)
    os.close(os.open(building, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with contextlib.closing(sqlite3.connect(building, isolation_level=None)) as connection:
        migrate(connection, building)
        with transaction(connection):
            fill(connection)
    building.replace(_beside(path, ".next"))
    _sync_names(path)


def settle(path: Path) -> Path:
    """
    Put what :func:`make` has made in its place, now or at the start after a crash.

    What was there is moved aside first, with its log: SQLite would play a
    foreign log into the new file.  Returns where that would lie.

    Raises:
        OSError: A name cannot be changed; calling again goes on from there.
    """
    kept = _beside(path, f".corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    made = _beside(path, ".next")
    if not made.exists():
        return kept
    for suffix in ("", _LOG):
        with contextlib.suppress(FileNotFoundError):
            _beside(path, suffix).rename(_beside(kept, suffix))
    made.rename(path)
    _sync_names(path)
    return kept


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _sync_names(path: Path) -> None:
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
