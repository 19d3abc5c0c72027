"""
The work in the journal's thread: open, check, commit, read, prune.

The connection keeps SQLite's own lock for as long as it is open
(``locking_mode=EXCLUSIVE``): no second connection can exist that would write
or checkpoint at the same instant, and no shared memory file is needed.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Self

from pmwatchd.errors import JournalCorruptError, JournalError, JournalUnwritableError
from pmwatchd.io.journal import files, rows
from pmwatchd.io.journal.faults import at_open, cause
from pmwatchd.io.journal.files import Replaced
from pmwatchd.io.journal.tables import SECONDS, copy, migrate, number_anew, transaction
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

# What safety rests on; everything else in the file is history.
_SAFETY = ("meta", "site", "host", "operation")

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
            (name, fingerprint, booting, quiet, failures, left_off, missing, miswired,
             maintenance, maintenance_by, maintenance_reason, expires_at, kept_off,
             fenced, parked, soft_fenced, dumped, reads_off, given_up, maintenance_for_s)
        VALUES (:name, :fingerprint, :booting, :quiet, :failures, :left_off, :missing, :miswired,
                :maintenance, :maintenance_by, :maintenance_reason, :expires_at, :kept_off,
                :fenced, :parked, :soft_fenced, :dumped, :reads_off, :given_up,
                :maintenance_for_s)
        """,
    "site": """
        UPDATE site SET
            paused_until = :paused_until, paused_for_s = :paused_for_s,
            paused_by = :paused_by, paused_reason = :paused_reason,
            override_until = :override_until, override_for_s = :override_for_s,
            override_by = :override_by,
            override_reason = :override_reason
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

    table: Literal["record", "operation", "host", "site"]
    columns: rows.Columns


class Store:
    """The open database; lives and dies in one thread."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    @classmethod
    def open(
        cls, state_dir: Path, *, accept_empty: bool = False
    ) -> tuple[Self, Remembered, Replaced | None]:
        """
        Open, migrate, check, count this start, prune a little.

        Damage to what safety rests on (hosts, operations) needs a person's
        word, *accept_empty*.  Damage to the history alone does not: what is
        sound moves to a new file, so that no open operation is hidden by it.

        Raises:
            JournalLockedError: Another program has the file open.
            JournalCorruptError: It is damaged, and *accept_empty* is not given.
            JournalUnwritableError: It cannot be written.
            JournalError: A newer pmwatchd made it.
        """
        path = state_dir / "journal.db"
        with at_open(path):
            files.settle(path)
            if not files.present(path):
                files.make(path, lambda _new: None)
                files.settle(path)
        try:
            store, damage = cls._connect(path)
        except JournalCorruptError as error:
            if not accept_empty:
                raise
            with at_open(path):
                files.make(path, number_anew)
            reason, lost = cause(error.__cause__), "every operation, maintenance and pause in it"
        else:
            if not damage:
                return store, store.begin(), None
            # Closed before it is moved: SQLite removes the log by its name.
            with contextlib.closing(store), at_open(path):
                files.make(path, store.copy_sound)
            reason, lost = damage, "records that cannot be read; every operation is kept"
        with at_open(path):
            kept = files.settle(path)
        store, _ = cls._connect(path)
        return store, store.begin(), Replaced(kept, reason, lost)

    @classmethod
    def _connect(cls, path: Path) -> tuple[Self, str]:
        """Open *path*; give what is damaged in its history, or "" when it is sound."""
        with at_open(path):
            files.look(path)
            # isolation_level: transactions begin where the code says so.
            connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)
            store = cls(connection, path)
            try:
                return store, store._prepare()
            except BaseException:
                connection.close()
                raise

    def begin(self) -> Remembered:
        """
        Count this start and read what the journal knows.

        Raises:
            JournalError: As :meth:`open`.
        """
        with at_open(self._path):
            try:
                with transaction(self._connection):
                    self._connection.execute("UPDATE meta SET epoch = epoch + 1")
                remembered = self._remembered()
            except BaseException:
                self.close()
                raise
        for _ in range(PRUNE_STEPS_AT_OPEN):
            if not self.prune():
                break
        return remembered

    def commit(self, writes: Sequence[Write]) -> float:
        """
        Make all rows durable or none; gives the seconds that it took.

        A disk may take what is written and then fail to make it durable.
        The next start would find such a transaction whole in the log, and
        open an operation that was refused to whoever asked for it; therefore
        something else is written over it.  Where that fails as well, it may
        come back: an automatic operation then begins with readings, all
        holds and a last look, and nothing of it was carried out before.

        Raises:
            JournalUnwritableError: Nothing of it is durable.
        """
        began = time.perf_counter()
        try:
            with transaction(self._connection):
                for write in writes:
                    self._connection.execute(_SAVE[write.table], write.columns)
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise  # a broken rule of the schema is a bug, not a bad disk
        except sqlite3.DatabaseError as error:
            self._disown()
            raise JournalUnwritableError(
                f"{self._path} cannot be written: {cause(error)}. "
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
        try:
            newest = self._connection.execute(
                "SELECT at FROM record ORDER BY sequence DESC LIMIT 1"
            ).fetchone()
            if newest is None:
                return 0
            before = datetime.fromisoformat(newest["at"]) - KEEP_FOR
            limits = {"before": rows.stamp(before), "rows": KEEP_ROWS, "step": PRUNE_STEP}
            with transaction(self._connection):
                return sum(self._connection.execute(sql, limits).rowcount for sql in _PRUNE)
        except sqlite3.DatabaseError:
            return 0

    def copy_sound(self, new: sqlite3.Connection) -> None:
        """Copy what safety rests on into *new*, an empty journal, and what else can be read."""
        for table in _SAFETY:
            new.execute(f"DELETE FROM {table}")  # noqa: S608 - a constant
            copy(table, self._connection, new)
        try:
            copy("record", self._connection, new, order="ORDER BY sequence DESC")
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            # The newest may be among those that are lost: no number is given out twice.
            new.execute(f"UPDATE meta SET sequence = max(sequence, {SECONDS})")  # noqa: S608 - a constant

    def close(self) -> None:
        """Close; a bad disk does not matter any more, all that was promised is in the log."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def _prepare(self) -> str:
        connection = self._connection
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}")
        migrate(connection, self._path)
        # All of it: half a second for a million records, and damage is known before it matters.
        damage = self._check()
        if damage:
            for table in _SAFETY:
                if found := self._check(f"({table})"):
                    raise sqlite3.DatabaseError(found)
        self._remembered(history=not damage)
        return damage

    def _check(self, what: str = "") -> str:
        """Look for damage; give the first that is found, or ""."""
        try:
            found: str = self._connection.execute(f"PRAGMA quick_check{what}").fetchone()[0]
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            return cause(error)
        return "" if found == "ok" else " ".join(found.split())

    def _disown(self) -> None:
        """Write over what a failed commit may have left in the log."""
        with contextlib.suppress(sqlite3.DatabaseError), transaction(self._connection):
            self._connection.execute("UPDATE meta SET failed_commits = failed_commits + 1")

    def _remembered(self, *, history: bool = True) -> Remembered:
        one = self._connection.execute
        meta = one("SELECT epoch, sequence FROM meta").fetchone()
        site = one("SELECT * FROM site").fetchone()
        for table, row in (("meta", meta), ("site", site)):
            if row is None:
                raise sqlite3.DatabaseError(f"its table {table} is empty")
        last = one("SELECT coalesce(max(sequence), 0) FROM record").fetchone()[0] if history else 0
        hosts = (rows.to_host(row) for row in one("SELECT * FROM host"))
        return Remembered(
            epoch=meta["epoch"],
            sequence=max(last, meta["sequence"]),
            hosts={host.host: host for host in hosts},
            operations=tuple(rows.to_operation(row) for row in one(_OPEN)),
            site=rows.to_site(site),
        )

    def _select(
        self, select: str, where: Mapping[str, str], wanted: Wanted, order: str
    ) -> list[sqlite3.Row]:
        conditions = [where[name] for name, value in wanted.items() if value is not None]
        sql = f"{select} WHERE {' AND '.join(conditions) or 'true'} ORDER BY {order}"
        try:
            return self._connection.execute(sql, wanted).fetchall()
        except sqlite3.DatabaseError as error:
            raise JournalError(f"{self._path} cannot be read: {cause(error)}") from error
