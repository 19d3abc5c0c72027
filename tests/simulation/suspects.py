"""What one life of the daemon was told: of each host, and of its own health."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from pmwatchd.core.events import CanaryHeard, DumpHeard, ObserverPaused, WitnessSaid
from pmwatchd.core.model import Host, Opinion
from pmwatchd.core.observer import SHAKEN_S, WITNESS_GOOD_S
from pmwatchd.core.orders import SaveHost
from pmwatchd.core.rules import KdumpRules

PASSES = 2
"""The daemon looks at its own health once a pass; what lasts so many is known to it."""

EPS_S = 1e-6


@dataclass(slots=True)
class Dump:
    """Datagrams of one silence."""

    first_at: float
    last_at: float
    over: bool = False

    def runs(self, rules: KdumpRules, now: float) -> bool:
        """Whether it is to be waited for; once over it stays so."""
        until_at = min(self.last_at + rules.quiet_after_s, self.first_at + rules.ceiling_s)
        self.over = self.over or now >= until_at - EPS_S
        return not self.over


@dataclass(slots=True)
class Suspect:
    """
    A host.

    Attributes:
        saved: What the journal was last given of it.
        grace_s: The shortest grace that it was given.
        silent: Its last heartbeat was unanswered.
        up_since: It answers without a break since then.
        pardoned_at: When a maintenance of it last ended.
        told_at: When somebody last answered a question about it.
        waiting: Who was asked in the last round and has not answered.
        alive: When those who were asked last knew it alive; who cannot be asked changes nothing.
    """

    host: Host
    saved: SaveHost
    grace_s: float = math.inf
    silent: bool = False
    up_since: float | None = None
    pardoned_at: float = -math.inf
    dump: Dump | None = None
    question: int = 0
    asked_at: float = -math.inf
    told_at: float = -math.inf
    waiting: set[str] = field(default_factory=set)
    alive: dict[str, float] = field(default_factory=dict)
    _weighed: tuple[SaveHost, Host, bool] | None = None

    @property
    def counts(self) -> bool:
        """Whether it is in the fractions of a storm, as far as it alone decides that."""
        saved, host = self.saved, self.host
        if self._weighed is None or self._weighed[0] is not saved or self._weighed[1] is not host:
            out = saved.maintenance or saved.parked or saved.left_off or saved.booting
            counts = not out and saved.fingerprint == host.fingerprint
            self._weighed = saved, host, counts
        return self._weighed[2]

    def answered(self, now: float) -> None:
        """It was heard: what was said of its silence is nothing any more."""
        if self.silent or self.up_since is None:
            self.up_since = now
        self.silent, self.dump = False, None
        self.alive.clear()

    def saves(self, memory: SaveHost) -> None:
        """The core has something to be journalled of it."""
        if memory.booting:
            self.up_since = None
        self.saved = memory

    def asked(self, question: int, who: str, now: float) -> None:
        """Somebody is asked about it."""
        if question != self.question:
            self.question, self.asked_at, self.waiting = question, now, set()
        self.waiting.add(who)

    def said(self, question: int, who: str, opinion: Opinion, now: float) -> None:
        """Somebody answered; an answer to an older question is none."""
        if question != self.question or who not in self.waiting:
            return
        self.waiting.discard(who)
        self.told_at = now
        if opinion is Opinion.ALIVE:
            self.alive[who] = now
        elif opinion is Opinion.SILENT:
            self.alive.pop(who, None)

    def dumps(self, event: DumpHeard, answered_at: float, rules: KdumpRules, now: float) -> None:
        """A datagram came."""
        if not (rules.enabled and self.host.power_management.kdump):
            return
        if self.dump is None or self.dump.last_at < answered_at:
            self.dump = Dump(event.at, event.at)
        elif self.dump.runs(rules, now):
            self.dump.last_at = event.at


class Health:
    """Whether the daemon could know that it is itself ill, or cut off."""

    def __init__(self) -> None:
        self._canaries: dict[str, bool] = {}
        self._shaken_until = -math.inf
        self._reached: dict[str, float] = {}
        self._ill = 0
        self._up: list[set[str]] = []

    def told(
        self,
        event: CanaryHeard | ObserverPaused | WitnessSaid,
        suspects: Mapping[str, Suspect],
        now: float,
    ) -> None:
        """See what tells of it."""
        match event:
            case CanaryHeard():
                self._canaries[event.canary] = event.answers
            case ObserverPaused():
                paces = [suspect.host.heartbeat.interval_s for suspect in suspects.values()]
                if event.for_s > 2 * min(paces, default=math.inf):
                    self._shaken_until = now + SHAKEN_S
            case WitnessSaid() if event.opinion is not Opinion.NONE:
                self._reached[event.witness] = now
            case _:
                pass

    def end_pass(self, suspects: Mapping[str, Suspect], now: float) -> None:
        """Look, as the daemon does once a pass."""
        silent = sum(not answers for answers in self._canaries.values())
        ill = 2 * silent > len(self._canaries) or now < self._shaken_until
        self._ill = self._ill + 1 if ill else 0
        up = {
            name
            for name, suspect in suspects.items()
            if suspect.up_since is not None and not suspect.host.engine
        }
        self._up = [*self._up[1 - PASSES :], up]

    def complaint(self, host: Host, now: float) -> str:
        """Return why nobody was to be believed dead, or ""."""
        if self._ill >= PASSES:
            return "the observer is ill"
        others = set().union(*self._up) - {host.name}
        reached = any(now - at <= WITNESS_GOOD_S + EPS_S for at in self._reached.values())
        known = others or reached or any(self._canaries.values())
        return "" if known else "nothing answers at all"
