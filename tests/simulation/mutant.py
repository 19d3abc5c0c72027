"""A deliberate bug: a small change to the source that has to be noticed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """
    One deliberate bug.

    Attributes:
        test: What catches it where no seed does.
    """

    name: str
    file: str
    old: str
    new: str
    test: str = ""
