"""What a long run has played so far, kept in a file, so that an interrupted one goes on."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parents[2]
SOURCES = ("pmwatchd", "tests/simulation")

T = TypeVar("T")


class Kept:
    """
    A file with the sums of a run; of other sources, or another choice of seeds, it is no use.

    Args:
        path: The file; None: nothing is kept.
        choice: What else the sums depend on.
    """

    def __init__(self, path: Path | None, choice: str) -> None:
        self._path = path
        self._mark = _mark(choice) if path else ""

    def load(self, fresh: T) -> T:
        """
        Return the sums that are kept, or *fresh* ones where there are none.

        Raises:
            ValueError: They are those of another run.
        """
        if self._path is None or not self._path.exists():
            return fresh
        mark, sums = pickle.loads(self._path.read_bytes())  # noqa: S301 - we wrote it
        if mark != self._mark or not isinstance(sums, type(fresh)):
            raise ValueError(f"{self._path} is of other sources or seeds; remove it to begin anew")
        return sums

    def save(self, sums: object) -> None:
        """Keep these sums instead."""
        if self._path is not None:
            new = self._path.with_suffix(".new")
            new.write_bytes(pickle.dumps((self._mark, sums)))
            new.replace(self._path)


def _mark(choice: str) -> str:
    found = hashlib.sha256(choice.encode())
    for folder in SOURCES:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in {".py", ".sql"}:
                found.update(str(file.relative_to(ROOT)).encode())
                found.update(file.read_bytes())
    return found.hexdigest()
