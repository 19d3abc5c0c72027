"""
Is it half alive?

A hung kernel still answers pings and refuses connections.  A host that could
say more and gives only such weak signs, beyond its grace, is named as that; it
is not fenced for it, unless its operator has weak signs count as silence.
"""

from __future__ import annotations

from pmwatchd.core import upkeep
from pmwatchd.core import watch as watching
from pmwatchd.core.events import Answered
from pmwatchd.core.machine import Machine
from pmwatchd.core.model import Alert
from pmwatchd.core.site import Site


def heard(site: Site, machine: Machine, sign: Answered, now: float) -> None:
    """A host that gives only weak signs may hang; for how long it does is known."""
    if sign.weak is None:
        return  # as the last heartbeat left it of which that is known
    if not sign.weak:
        machine.weak_since = None
        upkeep.clear(site, machine, Alert.HALF_ALIVE)
    elif machine.weak_since is None:
        machine.weak_since = now


def attend(site: Site, machine: Machine, now: float) -> None:
    """Say so when it has given only weak signs for longer than its grace."""
    until_at = deadline(machine)
    if until_at is not None and now >= until_at:
        reason = "it gives only weak signs of life: its kernel may hang"
        upkeep.alert(site, machine, Alert.HALF_ALIVE, reason, now)


def deadline(machine: Machine) -> float | None:
    """When weak signs alone are no life any more."""
    up = isinstance(machine.watch, watching.Up)
    if machine.weak_since is None or not up or Alert.HALF_ALIVE in machine.alerts:
        return None
    return machine.weak_since + machine.host.grace.period_s + machine.host.extra_grace_s
