"""
Is it us?

The daemon doubts itself before it believes that a host is dead: canaries that
are silent too, a clock that jumped, or nothing at all that answers mean that
the observer is ill, not the hosts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

WITNESS_GOOD_S = 60.0
"""Who was reached when last tried counts for so long: nobody is tried all the time."""

STEADY_S = 20.0
"""So long all has to be well until an illness is over; one that comes and goes is one."""

SHAKEN_S = 10.0
"""After the process was stopped or late it does not trust itself for so long."""


@dataclass(slots=True)
class Observer:
    """
    What the daemon knows of its own health.

    Attributes:
        canaries: Whether each of them answers, as far as they were heard of.
        heard_at: When a host or a canary answered last.
        reached: When each witness was reached, if it was when it was last tried.
        reached_at: When any of them was reached last.
        shaken_until: It was late, stopped or suspended a short while ago.
        ill: Why it did not trust itself in this pass, or ""; and since when.
        cut_off_at: Since when nobody could have been heard, until that is surely over.
        well_at: Since when somebody can be heard again, until that is sure.
    """

    canaries: dict[str, bool] = field(default_factory=dict)
    heard_at: float = -math.inf
    reached: dict[str, float] = field(default_factory=dict)
    reached_at: float = -math.inf
    shaken_until: float = -math.inf
    ill: str = ""
    ill_since_at: float = 0.0
    cut_off_at: float | None = None
    well_at: float | None = None

    def shaken(self, now: float) -> None:
        """Note that the process was stopped, suspended or late."""
        self.shaken_until = now + SHAKEN_S

    def keep(self, canaries: set[str]) -> None:
        """Forget canaries that the configuration does not name any more."""
        self.canaries = {name: well for name, well in self.canaries.items() if name in canaries}

    def silent_canaries(self) -> str:
        """Return why the way to everybody is in doubt whatever the hosts do, or ""."""
        silent = sorted(name for name, answers in self.canaries.items() if not answers)
        if 2 * len(silent) > len(self.canaries):
            return f"{len(silent)} of {len(self.canaries)} canaries silent: {', '.join(silent)}"
        return ""

    def dazed(self, now: float) -> str:
        """Return why the daemon itself is in doubt, or ""."""
        late = now < self.shaken_until
        return "the daemon itself stood still or was late a short while ago" if late else ""

    def complaint(self, now: float) -> str:
        """Return why this place cannot be trusted whatever the hosts do, or "" if it can."""
        return self.silent_canaries() or self.dazed(now)

    def hear(self, now: float, *, hosts_up: bool) -> None:
        """Note whether anything answers now."""
        if hosts_up or any(self.canaries.values()):
            self.heard_at = now

    def tried(self, witness: str, now: float, *, reached: bool) -> None:
        """Note whether a witness could be asked."""
        self.reached.pop(witness, None)
        if reached:
            self.reached[witness] = self.reached_at = now

    @property
    def lately_at(self) -> float:
        """When a host, a canary or a witness was heard last."""
        return max(self.heard_at, self.reached_at)

    def isolated(self, now: float, since_at: float, *, others_up: bool) -> str:
        """
        Return why nothing at all is known to answer, or "" when something does.

        Args:
            since_at: Who was reached before this silence shows nothing.
            others_up: Another watched host answers.
        """
        reached_from_at = max(since_at, now - WITNESS_GOOD_S)
        reached = any(at >= reached_from_at for at in self.reached.values())
        if others_up or any(self.canaries.values()) or reached:
            return ""
        return "nothing answers at all: no other host, no canary, no witness"

    def judge(self, now: float, alone: str, *, started_at: float) -> tuple[float, float] | None:
        """
        Judge our own health, once a pass; *ill* says what came of it.

        Args:
            alone: Why nothing at all answers, or "".
            started_at: What was heard before the start of the daemon is not known.

        Returns from when to when nobody could have been heard, when that is surely over.
        """
        over = None
        cut_off = self._note_cut_off(now, alone, started_at)
        if self.cut_off_at is not None and self.well_at is not None and not cut_off:
            cut_off = "nobody could be heard a short while ago"
            if now >= self.well_at + STEADY_S:
                over, cut_off = (self.cut_off_at, self.well_at), ""
                self.cut_off_at = self.well_at = None
        complaint = cut_off or self.dazed(now)
        if complaint and not self.ill:
            self.ill_since_at = now
        self.ill = complaint
        return over

    def _note_cut_off(self, now: float, alone: str, started_at: float) -> str:
        """Return why nobody can be heard now, or ""; note since when, and since when again."""
        cut_off = self.silent_canaries() or alone
        if cut_off:
            self.well_at = None
            if self.cut_off_at is None:
                self.cut_off_at = max(self.lately_at, started_at) if alone else now
        elif self.cut_off_at is not None and self.well_at is None:
            self.well_at = now
        return cut_off
