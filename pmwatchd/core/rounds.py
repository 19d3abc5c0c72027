"""
Whose turn it is: every name soon after it was added, then one round after another, evenly.

Nothing here is about power; it is what keeps readings of healthy hosts few
and far apart, and costs the fleet one look per turn.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

FASTEST_S = 0.1
"""No two turns are closer together, however many names there are."""

TRIES = 10
"""So many names are looked at in a turn until one of them is ready."""


@dataclass(slots=True, kw_only=True)
class Rounds:
    """
    Names that wait for their turn.

    Attributes:
        fresh: Those that had none yet; they have a quicker pace of their own.
        known: The others, the one that waited longest first.
    """

    fresh: OrderedDict[str, None] = field(default_factory=OrderedDict)
    known: OrderedDict[str, None] = field(default_factory=OrderedDict)
    fresh_at: float | None = None
    known_at: float | None = None

    def add(self, name: str) -> None:
        """Let a name take part, or begin again."""
        self.known.pop(name, None)
        self.fresh[name] = None

    def forget(self, name: str) -> None:
        """Leave a name out from now on."""
        self.known.pop(name, None)
        self.fresh.pop(name, None)

    def turns(
        self, now: float, *, within_s: float, every_s: float, ready: Callable[[str], bool]
    ) -> list[str]:
        """
        Return the names whose turn it is now.

        Args:
            within_s: In about this time every fresh name that is ready has its turn.
            every_s: And every known one once in this time; 0: nobody has any turn.
            ready: Tells who can take a turn; the others are passed over until later.
        """
        if not every_s:
            self.fresh_at = self.known_at = None
            return []
        names = len(self.fresh) + len(self.known)
        due = []
        self.fresh_at, name = _turn(self.fresh, self.fresh_at, within_s / (names + 1), now, ready)
        if name:
            self.fresh.pop(name)
            due.append(name)
        pace_s = every_s / max(1, len(self.known))
        self.known_at, name = _turn(self.known, self.known_at, pace_s, now, ready)
        if name:
            due.append(name)
        self.known.update(dict.fromkeys(due))
        return due

    @property
    def due_at(self) -> float | None:
        """When somebody has a turn next."""
        instants = [at for at in (self.fresh_at, self.known_at) if at is not None]
        return min(instants, default=None)


def _turn(
    waiting: OrderedDict[str, None],
    at: float | None,
    pace_s: float,
    now: float,
    ready: Callable[[str], bool],
) -> tuple[float | None, str]:
    """Return when the next turn is, and who has this one, or ""."""
    if not waiting:
        return None, ""
    pace_s = max(pace_s, FASTEST_S)
    at = now + pace_s if at is None else min(at, now + pace_s)  # more names, a quicker pace
    if now < at:
        return at, ""
    for _ in range(min(TRIES, len(waiting))):
        name = next(iter(waiting))
        waiting.move_to_end(name)
        if ready(name):
            return now + pace_s, name
    return now + pace_s, ""
