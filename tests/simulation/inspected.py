"""
What was read of agents while their hosts answered, and what the daemon makes of it.

From what it saves it is known which outlets it calls wired elsewhere.  That has
to follow from two readings, each while the host answered, and from one more
answer after them; and it may end only for a reason.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pmwatchd.core.events import AgentReplied, HostProbed
from pmwatchd.core.model import FenceAction, Host, PowerStatus, ProbeResult
from pmwatchd.core.orders import Order, RunAgent, SaveHost
from tests.simulation.loop import World

CHECK = "check_"
"""Readings that belong to no operation and to no person's question are called so."""

QUERY = "query_"
"""Those of a person's question; they may acquit, and accuse nobody."""

Switcher = Callable[[Host, str, float], str]
Broke = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Seen:
    """One reading that the core was told; *up* is whether it knew the host to answer then."""

    check: str
    at: float
    power: PowerStatus
    up: bool


@dataclass(slots=True)
class Outlets:
    """
    What is known of one host.

    Attributes:
        off: Outlets that the daemon calls wired elsewhere.
        read: Readings by outlet, in this life and since it was last accused.
        probed: When it last answered the question that belongs to a reading, and which.
        switched: Outlets that were told to go off since they are called so.
        excused_at: When it was last redefined.
    """

    host: Host
    off: frozenset[str] = frozenset()
    read: defaultdict[str, list[Seen]] = field(default_factory=lambda: defaultdict(list))
    probed: tuple[float, str] = (-math.inf, "")
    switched: set[str] = field(default_factory=set)
    excused_at: float = -math.inf


class Inspected:
    """
    Judges what the daemon calls wired elsewhere.

    Args:
        switched_off_by: Returns which order took the power at an outlet, as the cables were
            since an instant, or "".
    """

    def __init__(self, world: World, switched_off_by: Switcher, broke: Broke) -> None:
        self._world = world
        self._switched_off_by = switched_off_by
        self._broke = broke
        self._asked: dict[tuple[str, str], str] = {}
        self._hosts: dict[str, Outlets] = {}
        self._saved: Mapping[str, SaveHost] = {}

    def begun(self, saved: Mapping[str, SaveHost]) -> None:
        """A daemon has started, which has read nothing and knows what is on disk."""
        self._saved = saved
        self._asked.clear()
        self._hosts.clear()

    def loaded(self, hosts: Mapping[str, Host]) -> None:
        """Another inventory is valid: what it does not name any more is nobody's."""
        for name in self._hosts.keys() - hosts.keys():
            self._hosts[name].excused_at = self._world.now  # it leaves when it is in nobody's hands
        for name, host in hosts.items():
            known = self._hosts.get(name)
            if known is None:
                saved = self._saved.get(name, SaveHost(host=name))
                known = self._hosts[name] = Outlets(host, frozenset(saved.reads_off))
            if known.host != host:
                known.host, known.excused_at = host, self._world.now
                known.read.clear()

    def off(self, host: str) -> frozenset[str]:
        """Return what is called wired elsewhere."""
        known = self._hosts.get(host)
        return known.off if known is not None else frozenset()

    def replied(self, event: AgentReplied, *, up: bool) -> None:
        """The core is told what an agent said."""
        outlet = self._asked.pop((event.operation, event.agent), None)
        if outlet is not None and event.host in self._hosts:
            seen = Seen(event.operation, self._world.now, event.reply.power, up)
            self._hosts[event.host].read[outlet].append(seen)

    def probed(self, event: HostProbed) -> None:
        """The core is told what came of a fresh heartbeat."""
        if event.result is ProbeResult.ALIVE and event.host in self._hosts:
            self._hosts[event.host].probed = self._world.now, event.operation

    def ordered(self, orders: Sequence[Order]) -> None:
        """See what the core has just decided: first what it does, then what it saves."""
        for order in orders:
            match order:
                case RunAgent(operation=str(asked)) if asked.startswith((CHECK, QUERY)):
                    self._asked[asked, order.agent.name] = order.agent.outlet
                case RunAgent(action=FenceAction.OFF) if order.host in self._hosts:
                    self._hosts[order.host].switched.add(order.agent.outlet)
                case _:
                    pass
        for order in orders:
            if isinstance(order, SaveHost) and order.host in self._hosts:
                self._judge(self._hosts[order.host], frozenset(order.reads_off))

    def _judge(self, known: Outlets, off: frozenset[str]) -> None:
        name = known.host.name
        for outlet in sorted(off - known.off):
            wrongs = list(self._untrue(known, outlet))
            if wrongs:
                self._broke("miswired", f"{outlet} of {name} is accused: {'; '.join(wrongs)}")
            known.read[outlet].clear()
            known.switched.discard(outlet)
        for outlet in sorted(known.off - off):
            read_on = [seen for seen in known.read[outlet] if seen.power is PowerStatus.ON]
            switched = outlet in known.switched  # it read on before, and off after that
            if not (read_on or switched) and known.excused_at < self._world.now:
                self._broke("miswired", f"{outlet} of {name} is acquitted for no reason")
        known.off = off

    def _untrue(self, known: Outlets, outlet: str) -> Iterator[str]:
        at, question = known.probed
        read = [seen for seen in known.read[outlet] if seen.check.startswith(CHECK)]
        asked = [number for number, seen in enumerate(read) if seen.check == question]
        if not asked or at < read[asked[0]].at:
            yield "nobody asked the host after that"
            return
        last = read[: asked[0] + 1][-2:]
        if [seen.power for seen in last] != [PowerStatus.OFF] * 2:
            yield f"it was read {[str(seen.power) for seen in read]}"
            return
        if not all(seen.up for seen in last):
            yield "the host did not answer when it was read"
        since = [seen.power for seen in known.read[outlet] if seen.at > last[-1].at]
        if PowerStatus.ON in since:
            yield "it has read on since"
        order = self._switched_off_by(known.host, outlet, last[0].at)
        if order:
            yield f"{order} switched it off"
