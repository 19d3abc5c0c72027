"""Damage to a journal's files, as bad sectors and bad copies make it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

PAGE = 4096


def overwrite(path: Path, name: str) -> None:
    """Overwrite a part of the first page of a table or index, as a bad sector would."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
        found = reader.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,))
        start = (found.fetchone()[0] - 1) * PAGE
    content = bytearray(path.read_bytes())
    content[start + 8 : start + 2048] = os.urandom(2040)
    path.write_bytes(content)


def kept_aside(state_dir: Path) -> list[Path]:
    """Return the damaged files that were kept, by name."""
    return sorted(state_dir.glob("journal.db.corrupt-*"))
