"""What something does wrong for a while: names that begin and end, perhaps several times over."""

from __future__ import annotations

from collections import Counter


class Moods:
    """The moods that a thing is in now; one that began twice has to end twice."""

    __slots__ = ("_names",)

    def __init__(self) -> None:
        self._names: Counter[str] = Counter()

    def __contains__(self, name: str) -> bool:
        return self._names[name] > 0 if self._names else False

    def begin(self, name: str) -> None:
        """Enter a mood."""
        self._names[name] += 1

    def end(self, name: str) -> None:
        """Leave it."""
        if self._names[name] > 0:
            self._names[name] -= 1

    def clear(self) -> None:
        """Leave all of them."""
        self._names.clear()
