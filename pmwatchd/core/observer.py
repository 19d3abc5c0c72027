"""
Is it us?

The daemon doubts itself before it believes that a host is dead: canaries that
are silent too, a clock that jumped, or nothing at all that answers mean that
the observer is ill, not the hosts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

SHAKEN_S = 10.0
"""After the process was stopped or late it does not trust itself for so long."""


@dataclass(slots=True)
class Observer:
    """
    What the daemon knows of its own health.

    Attributes:
        canaries: Whether each of them answers, as far as they were heard of.
        witness_at: When a witness was last reached.
        shaken_until: It was late, stopped or suspended a short while ago.
    """

    canaries: dict[str, bool] = field(default_factory=dict)
    witness_at: float = -math.inf
    shaken_until: float = -math.inf

    def shaken(self, now: float) -> None:
        """Note that the process was stopped, suspended or late."""
        self.shaken_until = now + SHAKEN_S

    def keep(self, canaries: set[str]) -> None:
        """Forget canaries that the configuration does not name any more."""
        self.canaries = {name: well for name, well in self.canaries.items() if name in canaries}

    def complaint(self, now: float) -> str:
        """Return why this place cannot be trusted whatever the hosts do, or "" if it can."""
        silent = sorted(name for name, answers in self.canaries.items() if not answers)
        if 2 * len(silent) > len(self.canaries):
            return f"{len(silent)} of {len(self.canaries)} canaries silent: {', '.join(silent)}"
        if now < self.shaken_until:
            return "the daemon itself stood still or was late a short while ago"
        return ""

    def isolated(self, now: float, *, others_up: bool, within_s: float) -> str:
        """
        Return why nothing at all is known to answer, or "" when something does.

        Args:
            others_up: Another watched host answers.
            within_s: A witness that was reached so long ago still counts.
        """
        if others_up or any(self.canaries.values()) or now - self.witness_at <= within_s:
            return ""
        return "nothing answers at all: no other host, no canary, no witness"
