"""Chance that can be repeated: every part of a run draws from a source of its own."""

from __future__ import annotations

from random import Random


def source(*words: object) -> Random:
    """Return a random source that depends on these words alone, not on the hash seed."""
    return Random("/".join(map(str, words)))  # noqa: S311 - a simulation, not a secret
