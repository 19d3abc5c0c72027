"""The tables of the journal: made and brought up to date by numbered scripts."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from pmwatchd.errors import JournalError

SECONDS = "CAST(strftime('%s', 'now') AS INTEGER)"
"""Seconds since 1970, as SQL."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """
    Run every script that *connection* has not seen yet, each in a transaction of its own.

    Raises:
        JournalError: A newer pmwatchd made the tables.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
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
            f"{path} was made by a newer pmwatchd (version {version} of its tables; "
            f"this one knows {len(scripts)}). Install that version again"
        )
    for number, script in enumerate(scripts[version:], version + 1):
        with transaction(connection, begin=False):
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{script.read_text(encoding='utf-8')}\n"
                f"PRAGMA user_version = {number};"
            )


def number_anew(new: sqlite3.Connection) -> None:
    """
    Number starts and records of an empty journal on from the wall clock.

    What the damaged one gave out cannot be read any more, and an id that is
    used twice would join two stories.  Seconds since 1970 are beyond every
    number that counting has reached, for nothing counts faster than that for
    long.  They only name things; nothing is decided by them.
    """
    new.execute(f"UPDATE meta SET epoch = {SECONDS}, sequence = {SECONDS}")  # noqa: S608 - a constant


def copy(table: str, old: sqlite3.Connection, new: sqlite3.Connection, *, order: str = "") -> None:
    """
    Copy the rows of a table of ours into the same table of another journal.

    Raises:
        sqlite3.DatabaseError: A row cannot be read; those before it are copied.
    """
    found = old.execute(f"SELECT * FROM {table} {order}")  # noqa: S608 - constants
    names = [column[0] for column in found.description]
    new.executemany(
        f"INSERT INTO {table} ({', '.join(names)})"  # noqa: S608 - columns of ours
        f" VALUES ({', '.join(f':{name}' for name in names)})",
        (dict(row) for row in found),
    )


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, *, begin: bool = True) -> Iterator[None]:
    """Make all of it durable, or nothing."""
    try:
        if begin:
            connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite may have rolled back by itself, e.g. when the disk is full.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
