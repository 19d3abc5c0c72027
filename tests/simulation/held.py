"""
The holds, checked: was anything known to the daemon that forbade this ``off``?

Everything here follows from the events that the core was given and from the
words that persons were promised, never from the core's own judgement.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from pmwatchd.core.events import (
    AgentReplied,
    AliveChecked,
    CanaryHeard,
    DeadlineReached,
    DumpHeard,
    Event,
    HeartbeatsHeard,
    HostProbed,
    InventoryLoaded,
    ObserverPaused,
    OverrideEndRequested,
    OverrideRequested,
    WitnessSaid,
)
from pmwatchd.core.model import Cause, Host, ProbeResult
from pmwatchd.core.orders import (
    AskWitness,
    CheckAlive,
    FenceSoftly,
    Order,
    ProbeHost,
    Record,
    RunAgent,
    SaveHost,
    SaveOperation,
)
from pmwatchd.core.rules import Rules
from pmwatchd.ports import Remembered
from tests.simulation.disk import Disk
from tests.simulation.inspected import Inspected
from tests.simulation.loop import World
from tests.simulation.storms import Storms
from tests.simulation.suspects import EPS_S, Health, Suspect
from tests.simulation.truth import Track

ALIVE_S = 8.0
"""Who was seen alive by others is left alone for so long."""

SETTLED_S = 5.0
"""And for so long at least after a slow answer."""

HOUR_S = 3600.0
CHECK = "alive check"


class Promises(Protocol):
    """What persons were promised for the whole site."""

    def paused(self) -> bool:
        """Whether nobody is to be fenced."""
        ...


class Held:
    """
    Judges every automatic ``off`` by the holds.

    Args:
        answered_at: When the last answer of a host was delivered.

    Attributes:
        inspected: Judges what is called wired elsewhere.
        saved: What the journal was last given of each host.
    """

    def __init__(
        self,
        world: World,
        disk: Disk,
        tracks: Mapping[str, Track],
        *,
        answered_at: Callable[[str], float],
        inspected: Inspected,
        broke: Callable[[str, str], None],
    ) -> None:
        self.promises: Promises
        self.inspected = inspected
        self.saved: dict[str, SaveHost] = {}
        self._world = world
        self._disk = disk
        self._tracks = tracks
        self._answered_at = answered_at
        self._broke = broke
        self._fenced: dict[str, set[str]] = {}
        self._softly_at: dict[str, float] = {}
        self._looked_at: dict[str, float] = {}
        self._looking: set[str] = set()

    def begun(self, rules: Rules, remembered: Remembered, wall_s: Callable[..., float]) -> None:
        """A daemon has started: what was only told to the one before is gone."""
        self._rules = rules
        self._started_at = self._world.now
        self._suspects: dict[str, Suspect] = {}
        self.saved = dict(remembered.hosts)
        self._storms = Storms(rules.safety.storm)
        self._health = Health()
        self.inspected.begun(remembered.hosts)
        self._proven_at: list[float] = []
        until = remembered.site.override_until
        self._override_until = -math.inf if until is None else self._world.now + wall_s(until)
        for name in list(self._softly_at):  # what was ordered and is not durable never ran
            if self._disk.behind or not self.saved.get(name, SaveHost(host=name)).soft_fenced:
                del self._softly_at[name]
        for name, ids in self._fenced.items():
            ids.difference_update(self._disk.open)  # they go on, and are counted when they end
            saved = self.saved.get(name)
            if self._disk.behind or saved is None:
                ids.clear()

    # what the core is told ---------------------------------------------------------------

    def stepped(self, event: Event) -> None:
        """See an event before the core does."""
        now = self._world.now
        match event:
            case HeartbeatsHeard():
                for answered in event.answered:
                    self._answered(answered.host)
                for silent in event.silent:
                    self._silent(silent.host)
            case HostProbed() | AgentReplied():
                self._asked(event)
            case DeadlineReached():
                self._end_pass(now)
            case ObserverPaused() | CanaryHeard() | WitnessSaid():
                self._told(event)
            case AliveChecked():
                if event.host in self._suspects:
                    suspect = self._suspects[event.host]
                    suspect.said(event.question, CHECK, event.opinion, now)
            case DumpHeard():
                if event.host in self._suspects:
                    answered_at = self._answered_at(event.host)
                    self._suspects[event.host].dumps(event, answered_at, self._rules.kdump, now)
            case InventoryLoaded():
                self._load(event.hosts)
            case OverrideRequested():
                self._override_until = now + event.for_s
            case OverrideEndRequested():
                self._override_until = -math.inf
            case _:
                pass

    def _asked(self, event: HostProbed | AgentReplied) -> None:
        """See what came of a question to the host itself, or to an agent."""
        if isinstance(event, AgentReplied):
            suspect = self._suspects.get(event.host)
            up = suspect is not None and suspect.up_since is not None
            self.inspected.replied(event, up=up)
            return
        self.inspected.probed(event)
        if event.result is ProbeResult.ALIVE:
            self._answered(event.host)

    def _load(self, hosts: Mapping[str, Host]) -> None:
        self.inspected.loaded(hosts)
        for name in self._suspects.keys() - hosts.keys():
            del self._suspects[name]
        for name, host in hosts.items():
            known = self._suspects.get(name)
            if known is None:
                saved = self.saved.get(name, SaveHost(host=name))
                known = self._suspects[name] = Suspect(host, saved)
            if known.host.fingerprint != host.fingerprint:
                known.up_since = None
            known.host = host
            known.grace_s = min(known.grace_s, host.grace.period_s + host.extra_grace_s)

    def _told(self, event: ObserverPaused | CanaryHeard | WitnessSaid) -> None:
        now = self._world.now
        self._health.told(event, self._suspects, now)
        match event:
            case WitnessSaid(host=host) if host in self._suspects:
                suspect = self._suspects[host]
                suspect.said(event.question, event.witness, event.opinion, now)
            case _:
                pass

    def silent(self, host: str) -> bool:
        """Whether its last heartbeat was not answered, as far as the core was told."""
        return host in self._suspects and self._suspects[host].silent

    def _answered(self, host: str) -> None:
        if host in self._suspects:
            self._suspects[host].answered(self._world.now)

    def _silent(self, host: str) -> None:
        suspect = self._suspects.get(host)
        if suspect is None:
            return
        suspect.silent = True
        if not suspect.saved.booting:
            self._forget_loop(suspect)
            suspect.up_since = None

    def _forget_loop(self, suspect: Suspect) -> None:
        """Up for an unbroken window: what happened before does not count."""
        window_s = self._rules.safety.loop_window_s
        up_since = suspect.up_since
        if up_since is not None and self._world.now - up_since > window_s - 1.0:
            self._fenced.pop(suspect.host.name, None)

    def _end_pass(self, now: float) -> None:
        self._health.end_pass(self._suspects, now)
        if not any(suspect.silent for suspect in self._suspects.values()):
            self._storms.count({}, now)
            return
        busy = {
            track.host.name
            for track in self._tracks.values()
            if track.closed_at is None and track.proven_off
        }
        standing = {
            name: (suspect.host, suspect.silent)
            for name, suspect in self._suspects.items()
            if suspect.counts and name not in busy
        }
        self._storms.count(standing, now)

    # what the core decides ---------------------------------------------------------------

    def ordered(self, orders: Sequence[Order]) -> None:
        """See what the core has just decided."""
        self.inspected.ordered(orders)
        for order in orders:
            match order:
                case SaveHost():
                    self._save(order)
                case ProbeHost():
                    self._looked_at[order.operation] = self._world.now
                    self._looking.add(order.operation)
                case RunAgent():
                    self._looking.discard(order.operation)
                case AskWitness() | CheckAlive():
                    who = order.witness.name if isinstance(order, AskWitness) else CHECK
                    if order.host.name in self._suspects:  # else it keeps its old definition
                        suspect = self._suspects[order.host.name]
                        suspect.asked(order.question, who, self._world.now)
                case FenceSoftly():
                    self._softly(order.host)
                case Record(event="maintenance.ended", host=str(name)):
                    if name in self._suspects:
                        self._suspects[name].pardoned_at = self._world.now
                case Record(event="fence.off_proven", operation=str(name)):
                    track = self._tracks[name]
                    track.vouched = "vouched_by" in order.fields
                    if track.cause is Cause.AUTOMATIC:
                        self._proven_at.append(self._world.now)
                case SaveOperation() if order.outcome is not None:
                    track = self._tracks[order.id]
                    seen_off = track.proven_off and not track.vouched
                    if seen_off and track.cause is Cause.AUTOMATIC:
                        self._fenced.setdefault(order.host, set()).add(order.id)
                case _:
                    pass

    def acknowledged(self, host: str) -> None:
        """A person looked at a parked host."""
        self._fenced.pop(host, None)

    def _save(self, order: SaveHost) -> None:
        self.saved[order.host] = order
        if order.host in self._suspects:
            self._suspects[order.host].saves(order)

    def _softly(self, host: Host) -> None:
        if not host.automatic:
            self._broke("soft fencing", f"{host.name} is fenced softly in shadow mode")
        if self._softly_at.get(host.name, -math.inf) > self._answered_at(host.name):
            self._broke("soft fencing", f"{host.name} is fenced softly twice in one silence")
        self._softly_at[host.name] = self._world.now

    # the judgement -----------------------------------------------------------------------

    def wrongs(self, track: Track) -> list[str]:
        """Return every hold that the daemon could know of when it orders this ``off``."""
        suspect = self._suspects.get(track.host.name)
        return [] if suspect is None else list(self._wrongs(track, suspect, self._world.now))

    def said_alive(self, host: str) -> bool:
        """Whether somebody who was asked knew it alive a short while ago."""
        suspect = self._suspects.get(host)
        known = suspect.alive.values() if suspect is not None else ()
        return any(self._world.now - at < ALIVE_S - EPS_S for at in known)

    def hourly_spent(self) -> bool:
        """Whether as many were fenced within the hour as may be."""
        hour = sum(at > self._world.now - HOUR_S for at in self._proven_at)
        return hour >= self._rules.safety.per_hour

    def _wrongs(self, track: Track, suspect: Suspect, now: float) -> Iterator[str]:
        host, safety = suspect.host, self._rules.safety
        if not host.automatic:
            yield "it is in shadow mode"
        if self.promises.paused():
            yield "a person has paused it"
        if complaint := self._health.complaint(host, now):
            yield complaint
        if now >= self._override_until and (storm := self._storms.of(host, now)):
            yield storm
        for who, at in suspect.alive.items():
            if now - at < ALIVE_S - EPS_S:
                yield f"{who} knew it alive {now - at:.1f} s ago"
        if suspect.waiting:
            yield f"{sorted(suspect.waiting)} were asked and have not answered"
        good_until = max(suspect.asked_at + ALIVE_S, suspect.told_at + SETTLED_S)
        looked_at = self._looked_at.get(track.id, now)
        if host.alive_check and looked_at > good_until + EPS_S:
            ago_s = looked_at - suspect.asked_at
            yield f"its alive check was asked {ago_s:.1f} s before the last look"
        yield from self._dumps(suspect, now)
        grace_s = host.grace.period_s + host.extra_grace_s
        if now - suspect.pardoned_at < grace_s - EPS_S:
            yield f"its maintenance ended {now - suspect.pardoned_at:.1f} s ago"
        if off := self.inspected.off(host.name):
            yield f"{sorted(off)} read off while it answered"
        if suspect.saved.miswired == host.wiring:
            yield "it answered after it was proven off"
        self._forget_loop(suspect)
        fenced = len(self._fenced.get(host.name, ()))
        if fenced >= safety.loop_limit:
            yield f"it was fenced {fenced} times without being up for long"
        yield from self._no_slot(track)

    def _dumps(self, suspect: Suspect, now: float) -> Iterator[str]:
        dump, rules, host = suspect.dump, self._rules.kdump, suspect.host
        if not (rules.enabled and host.power_management.kdump):
            return
        answered_at = self._answered_at(host.name)
        if dump is not None and dump.last_at > answered_at:
            if dump.runs(rules, now):
                yield f"it dumps since {now - dump.first_at:.1f} s"
            return
        silent_s = now - max(answered_at, self._started_at) - suspect.grace_s
        if silent_s < rules.start_window_s - EPS_S:
            yield f"a dump may begin, {silent_s:.1f} s after its grace"

    def _no_slot(self, track: Track) -> Iterator[str]:
        safety = self._rules.safety
        fencing = [
            one.id
            for one in self._tracks.values()
            if one is not track
            and one.cause is Cause.AUTOMATIC
            and one.sends_off
            and one.closed_at is None
            and not (one.proven_off or one.restoring)
            and one.taken_up_at >= self._started_at
            and not (one.id in self._looking and one.opened_at < self._started_at)
        ]
        if len(fencing) >= safety.max_concurrent:
            yield f"{fencing} are being fenced, of {safety.max_concurrent}"
        if track.opened_at >= self._started_at and self.hourly_spent():
            yield f"{len(self._proven_at)} were fenced within the hour, of {safety.per_hour}"
