"""What something does wrong for a while: names that begin and end, perhaps several times over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable


def _never() -> float:
    return 0.0


class Moods:
    """
    The moods that a thing is in now; one that began twice has to end twice.

    Args:
        clock: Seconds of the world, for those who ask since when.
    """

    __slots__ = ("_changed_at", "_clock", "_names")

    def __init__(self, clock: Callable[[], float] = _never) -> None:
        self._names: Counter[str] = Counter()
        self._changed_at: dict[str, float] = {}
        self._clock = clock

    def __contains__(self, name: str) -> bool:
        return self._names[name] > 0 if self._names else False

    @property
    def any(self) -> bool:
        """Whether it is in any mood."""
        return any(self._names.values())

    def changed_at(self, name: str | None = None) -> float:
        """Return when a mood, or any, last began or ended."""
        if name is not None:
            return self._changed_at.get(name, -1e9)
        return max(self._changed_at.values(), default=-1e9)

    def begin(self, name: str) -> None:
        """Enter a mood."""
        self._names[name] += 1
        self._changed_at[name] = self._clock()

    def end(self, name: str) -> None:
        """Leave it."""
        if self._names[name] > 0:
            self._names[name] -= 1
            self._changed_at[name] = self._clock()

    def clear(self) -> None:
        """Leave all of them."""
        for name in self._names:
            self._changed_at[name] = self._clock()
        self._names.clear()
