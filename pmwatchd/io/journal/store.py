"""
The work in the journal's thread: open, migrate, commit, read, prune.

The connection keeps SQLite's own lock for as long as it is open
(``locking_mode=EXCLUSIVE``): no second connection can exist that would write
or checkpoint at the same instant, and no shared memory file is needed.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Literal, Self

from pmwatchd.errors import (
    JournalCorruptError,
    JournalError,
    JournalLockedError,
    JournalUnwritableError,
)
from pmwatchd.io.journal import rows
from pmwatchd.ports import Remembered, Row

# What is kept: records and ended operations of the last 90 days before the
# newest record, and at most a million of each.  Open operations always stay.
KEEP_FOR = timedelta(days=90)
KEEP_ROWS = 1_000_000
# Rows are dropped in transactions of a few milliseconds, some of them at
# open, the others one by one after so many writes.
PRUNE_STEP = 5_000
PRUNE_STEPS_AT_OPEN = 20
PRUNE_EVERY = 2_000

# The log of changes is cut back to this size once it was copied into the file.
WAL_BYTES_MAX = 16 * 1024 * 1024
# How long to wait for a foreign program that has the file open, at open only.
BUSY_S = 1.0

# What to look for: a name of the conditions below, and its value; None: any.
Wanted = Mapping[str, str | int | None]

_SAVE = {
    "record": """
        INSERT INTO record (sequence, at, event, host, operation, fields)
        VALUES (:sequence, :at, :event, :host, :operation, :fields)
        """,
    "operation": """
        INSERT INTO operation
            (id, host, action, cause, reason, by, opened_at, closed_at, outcome, document)
        VALUES (:id, :host, :action, :cause, :reason, :by, :at,
                CASE WHEN :outcome IS NULL THEN NULL ELSE :at END, :outcome, :document)
        ON CONFLICT (id) DO UPDATE SET
            action = excluded.action, cause = excluded.cause, reason = excluded.reason,
            by = excluded.by, outcome = excluded.outcome, document = excluded.document,
            closed_at = CASE WHEN excluded.outcome IS NULL THEN NULL
                             ELSE coalesce(operation.closed_at, excluded.closed_at) END
        """,
    "host": """
        INSERT OR REPLACE INTO host
            (name, fingerprint, booting, quiet, failures, left_off,
             maintenance, maintenance_by, maintenance_reason, expires_at)
        VALUES (:name, :fingerprint, :booting, :quiet, :failures, :left_off,
                :maintenance, :maintenance_by, :maintenance_reason, :expires_at)
        """,
}

_RECORDS = "SELECT sequence, at, event, host, operation, fields FROM record"
_RECORDS_WHERE = {
    "after": "sequence > :after",
    "host": "host = :host",
    "operation": "operation = :operation",
    "since": "at >= :since",
}
_OPERATIONS = """
    SELECT id, host, action, cause, by, reason, opened_at, closed_at, outcome FROM operation
    """
_OPERATIONS_WHERE = {
    "host": "host = :host",
    "operation": "id = :operation",
    "since": "(closed_at IS NULL OR closed_at >= :since)",
}
_OPEN = "SELECT * FROM operation WHERE outcome IS NULL ORDER BY number"

# By number and by age apart, so that each finds its few rows by an index.
# The newest record always stays: its number is where the next start goes on.
_PRUNE = (
    """
    DELETE FROM record WHERE sequence IN (
        SELECT sequence FROM record
        WHERE sequence <= (SELECT max(sequence) FROM record) - :rows LIMIT :step)
    """,
    """
    DELETE FROM record WHERE sequence IN (
        SELECT sequence FROM record
        WHERE at < :before AND sequence < (SELECT max(sequence) FROM record) LIMIT :step)
    """,
    """
    DELETE FROM operation WHERE number IN (
        SELECT number FROM operation
        WHERE number <= (SELECT max(number) FROM operation) - :rows
          AND outcome IS NOT NULL LIMIT :step)
    """,
    """
    DELETE FROM operation WHERE number IN (
        SELECT number FROM operation WHERE closed_at < :before LIMIT :step)
    """,
)


@dataclass(frozen=True, slots=True)
class Write:
    """One row to save, under the names of its columns."""

    table: Literal["record", "operation", "host"]
    columns: rows.Columns


class Store:
    """The open database; lives and dies in one thread."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    @classmethod
    def open(cls, state_dir: Path) -> tuple[Self, Remembered]:
        """
        Open, migrate, check what safety rests on, count this start, prune a little.

        Raises:
            JournalLockedError: Another program has the file open.
            JournalCorruptError: It cannot be read.
            JournalUnwritableError: It cannot be written.
            JournalError: A newer pmwatchd made it.
        """
        path = state_dir / "journal.db"
        with _at_open(path):
            _create(path)
            # isolation_level: transactions begin where the code says so.
            connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)
            store = cls(connection, path)
            try:
                return store, store._start()
            except BaseException:
                connection.close()
                raise

    def commit(self, writes: Sequence[Write]) -> float:
        """
        Make all rows durable or none; gives the seconds that it took.

        Raises:
            JournalUnwritableError: Nothing of it is durable.
        """
        began = time.perf_counter()
        try:
            with self._transaction():
                for write in writes:
                    self._connection.execute(_SAVE[write.table], write.columns)
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise  # a broken rule of the schema is a bug, not a bad disk
        except sqlite3.DatabaseError as error:
            raise JournalUnwritableError(
                f"{self._path} cannot be written: {_cause(error)}. "
                f"Check free space, mount and health of the disk under {self._path.parent}"
            ) from error
        return time.perf_counter() - began

    def records(self, wanted: Wanted, limit: int) -> list[Row]:
        """Records that are *wanted* (``after, host, operation, since``), ascending."""
        found = self._select(_RECORDS, _RECORDS_WHERE, wanted, f"sequence LIMIT {limit:d}")
        return [rows.to_record(row) for row in found]

    def operations(self, wanted: Wanted, limit: int) -> list[Row]:
        """Operations that are *wanted* (``host, operation, since``), the newest first."""
        found = self._select(_OPERATIONS, _OPERATIONS_WHERE, wanted, f"number DESC LIMIT {limit:d}")
        return [dict(row) for row in found]

    def prune(self) -> int:
        """Drop a limited number of old rows; gives how many.  A bad disk is for another day."""
        newest = self._connection.execute(
            "SELECT at FROM record ORDER BY sequence DESC LIMIT 1"
        ).fetchone()
        if newest is None:
            return 0
        before = datetime.fromisoformat(newest["at"]) - KEEP_FOR
        limits = {"before": rows.stamp(before), "rows": KEEP_ROWS, "step": PRUNE_STEP}
        try:
            with self._transaction():
                return sum(self._connection.execute(sql, limits).rowcount for sql in _PRUNE)
        except sqlite3.OperationalError:
            return 0

    def close(self) -> None:
        """Close; a bad disk does not matter any more, all that was promised is in the log."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def _start(self) -> Remembered:
        connection = self._connection
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}")
        self._migrate()
        # Only what safety rests on: checking a million records would delay every start.
        for table in ("meta", "host", "operation"):
            verdict = connection.execute(f"PRAGMA quick_check({table})").fetchone()[0]
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
        with self._transaction():
            connection.execute("UPDATE meta SET epoch = epoch + 1")
        remembered = self._remembered()
        for _ in range(PRUNE_STEPS_AT_OPEN):
            if not self.prune():
                break
        return remembered

    def _migrate(self) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        scripts = sorted(
            (
                entry
                for entry in (resources.files("pmwatchd.io") / "migrations").iterdir()
                if entry.name.endswith(".sql")
            ),
            key=lambda entry: entry.name,
        )
        if version > len(scripts):
            raise JournalError(
                f"{self._path} was made by a newer pmwatchd (version {version} of its tables; "
                f"this one knows {len(scripts)}). Install that version again"
            )
        for number, script in enumerate(scripts[version:], version + 1):
            with self._transaction(begin=False):
                self._connection.executescript(
                    f"BEGIN IMMEDIATE;\n{script.read_text(encoding='utf-8')}\n"
                    f"PRAGMA user_version = {number};"
                )

    def _remembered(self) -> Remembered:
        one = self._connection.execute
        hosts = (rows.to_host(row) for row in one("SELECT * FROM host"))
        return Remembered(
            epoch=one("SELECT epoch FROM meta").fetchone()[0],
            sequence=one("SELECT coalesce(max(sequence), 0) FROM record").fetchone()[0],
            hosts={host.host: host for host in hosts},
            operations=tuple(rows.to_operation(row) for row in one(_OPEN)),
        )

    def _select(
        self, select: str, where: Mapping[str, str], wanted: Wanted, order: str
    ) -> list[sqlite3.Row]:
        conditions = [where[name] for name, value in wanted.items() if value is not None]
        sql = f"{select} WHERE {' AND '.join(conditions) or 'true'} ORDER BY {order}"
        try:
            return self._connection.execute(sql, wanted).fetchall()
        except sqlite3.DatabaseError as error:
            raise JournalError(f"{self._path} cannot be read: {_cause(error)}") from error

    @contextlib.contextmanager
    def _transaction(self, *, begin: bool = True) -> Iterator[None]:
        try:
            if begin:
                self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # SQLite may have rolled back by itself, e.g. when the disk is full.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def _create(path: Path) -> None:
    """Make an empty file that only we can read, its name durable before anything is in it."""
    if path.exists():
        return
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextlib.contextmanager
def _at_open(path: Path) -> Iterator[None]:
    """Map what SQLite and the system say at open to one sentence that says what to do."""
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            raise JournalLockedError(
                f"another program, perhaps sqlite3 or a backup, has {path} open. End it first"
            ) from error
        raise JournalUnwritableError(
            f"{path} cannot be opened for writing: {_cause(error)}. "
            f"Check owner, free space and mount of {path.parent}"
        ) from error
    except (sqlite3.DatabaseError, ValueError) as error:
        raise JournalCorruptError(
            f"{path} is damaged: {_cause(error)}. It was left as it is. Restore it from a "
            f"backup together with {path.name}-wal; or move both aside by hand, knowing that "
            "every operation that was open is then forgotten: a host that was switched off "
            "stays off until a person switches it on"
        ) from error


def _cause(error: Exception) -> str:
    name = getattr(error, "sqlite_errorname", None)
    return f"{error} ({name})" if name else str(error)
