"""
The crash dump of one machine: its datagrams are heard, and its end is waited for.

The rule is :mod:`~pmwatchd.core.dump`; here is what follows from it.
"""

from __future__ import annotations

from dataclasses import replace

from pmwatchd.core import dump, upkeep
from pmwatchd.core import watch as watching
from pmwatchd.core.events import DumpHeard
from pmwatchd.core.machine import Machine
from pmwatchd.core.orders import ReportNext
from pmwatchd.core.site import Site


def heard(site: Site, machine: Machine, event: DumpHeard) -> None:
    """Take in a datagram of a host that writes a crash dump."""
    if not (machine.host.power_management.kdump and site.rules.kdump.enabled):
        return
    machine.dump = dump.heard(machine.dump, machine.heard_at, event.at)


def answered(site: Site, machine: Machine, now: float) -> None:
    """The host answers: whatever it dumped is over."""
    found, machine.dump = machine.dump, None
    if found is not None and found.told and not found.over:
        took_s = round(now - found.first_at, 3)
        site.tell("kdump.ended", machine, took_s=took_s, reason="it answers")


def attend(site: Site, machine: Machine, now: float) -> None:
    """When the datagrams stop the host boots by itself; beyond the ceiling it is fenced."""
    found, rules = machine.dump, site.rules.kdump
    if found is None or found.over or isinstance(machine.watch, watching.Up):
        return
    told = found.told
    if found.last_at < machine.heard_at:  # it has answered since: what it sent meant nothing
        machine.dump = None
        return
    found = machine.dump = replace(dump.of_this_silence(found, machine.heard_at), told=True)
    if not told:
        site.tell("kdump.began", machine, reason="it sends the datagrams of a crash dump")
    if dump.running(found, rules, now):
        return
    machine.dump = replace(found, over=True)
    took_s = round(now - found.first_at, 3)
    if found.last_at + rules.quiet_after_s <= found.first_at + rules.ceiling_s:
        site.tell("kdump.ended", machine, took_s=took_s, reason="the datagrams have stopped")
        if isinstance(machine.watch, watching.Connecting | watching.NonResponsive):
            upkeep.enter(site, machine, watching.power_on(machine.host, now, ours=False), now)
        site.orders.append(ReportNext(machine.name))
    else:
        site.tell("kdump.ended", machine, took_s=took_s, reason="it takes too long")


def deadline(site: Site, machine: Machine) -> float | None:
    """When time alone ends it."""
    found, rules = machine.dump, site.rules.kdump
    if found is None or found.over or isinstance(machine.watch, watching.Up):
        return None
    return min(found.last_at + rules.quiet_after_s, found.first_at + rules.ceiling_s)
