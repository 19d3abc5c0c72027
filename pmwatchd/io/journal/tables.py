"""The tables of the journal: made and brought up to date by numbered scripts."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from pmwatchd.errors import JournalError


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
