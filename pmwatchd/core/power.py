"""
When does the power of a host count as back?

An operation owes *on* to every agent that was switched off, by itself or by
an earlier one.  A feed (a PDU outlet) that is on does not mean that the host
behind it is: where a chassis agent (a BMC) can be read, that one decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pmwatchd.core.model import FenceAgent, PowerStatus, Switches
from pmwatchd.core.operation import Operation
from pmwatchd.core.stage import Member, Step


@dataclass(frozen=True, slots=True)
class Unit:
    """Agents of one group that are switched on together."""

    rank: tuple[bool, bool, int]
    group: int
    agents: tuple[FenceAgent, ...]


def ended_as(member: Member) -> PowerStatus:
    """Return what a member was when its turn to be switched on was over."""
    if member.step is Step.PROVEN:
        return PowerStatus.ON
    return PowerStatus.OFF if member.power is PowerStatus.OFF else PowerStatus.UNKNOWN


def waiting(operation: Operation) -> Iterator[Unit]:
    """Yield everything that may still have to be switched on: owed first, feeds before chassis."""
    tried = {name for name, _ in operation.tried_on}
    enough = is_on(operation)
    for index, group in enumerate(operation.host.groups):
        for kind in Switches:
            agents = tuple(
                agent
                for agent in group
                if agent.switches is kind
                and agent.name not in tried
                and _may_switch(operation, agent)
            )
            owed = any(agent.name in operation.to_restore for agent in agents)
            if agents and (owed or not enough):
                yield Unit((not owed, kind is Switches.CHASSIS, index), index, agents)


def is_on(operation: Operation) -> bool:
    """Whether power counts as back."""
    ended = dict(operation.tried_on)
    off = operation.switched  # what an earlier one left off is visited, and need not be mended
    if not (operation.on & off if off else operation.on):
        return False
    chassis = _names(operation, Switches.CHASSIS) - operation.kept_off
    if operation.on & chassis:
        return True
    # Only feeds are on: the chassis must have been asked, and none may say otherwise.  What one
    # of them was sent in vain is not known to be undone, unless the feeds were proven off.
    left = frozenset() if operation.proven_off_at is not None else off
    return all(ended.get(name) is PowerStatus.UNKNOWN and name not in left for name in chassis)


def was_on(operation: Operation) -> bool:
    """Whether the host had power before this operation, which never proved the contrary."""
    chassis = operation.on & _names(operation, Switches.CHASSIS)
    deciding = chassis or operation.on
    return operation.proven_off_at is None and bool(deciding & operation.powered)


def before(operation: Operation, found: Iterable[str]) -> frozenset[str]:
    """Return those of what was found on that no earlier ``on`` of it may have switched on."""
    chassis = _names(operation, Switches.CHASSIS)
    ordered = operation.ordered_on
    return frozenset(
        name for name in found if not (ordered & chassis if name in chassis else ordered)
    )


def missing(operation: Operation) -> frozenset[str]:
    """Return the agents that should be on and are not proven so."""
    ended = dict(operation.tried_on)
    failed = {name for name, power in ended.items() if power is not PowerStatus.ON}
    working = [g for g in operation.host.groups if any(a.name in operation.on for a in g)]
    wanted = operation.to_restore | {agent.name for group in working for agent in group}
    chassis = _names(operation, Switches.CHASSIS)
    if not operation.on & chassis:  # one that cannot be read was left to the feeds
        silent = {name for name in chassis if ended.get(name) is PowerStatus.UNKNOWN}
        wanted -= silent - operation.to_restore
    return wanted & failed


def only_asks(operation: Operation) -> bool:
    """Whether all that is left is to wait for a chassis that was never switched."""
    members = operation.stage.members if operation.stage else ()
    idle = (not m.sent and m.agent.name not in operation.to_restore for m in members)
    return bool(operation.on) and all(idle)


def _may_switch(operation: Operation, agent: FenceAgent) -> bool:
    """Restoring touches only what is owed, and the chassis behind a feed that is."""
    if agent.name in operation.kept_off:
        return False
    if operation.restoring is None or agent.name in operation.to_restore:
        return True
    feeds = _names(operation, Switches.FEED)
    return agent.switches is Switches.CHASSIS and bool(feeds & operation.to_restore)


def _names(operation: Operation, kind: Switches) -> frozenset[str]:
    agents = operation.host.power_management.agents
    return frozenset(agent.name for agent in agents if agent.switches is kind)
