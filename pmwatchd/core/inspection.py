"""
Do its agents switch this machine, and no other?

While a host answers, every agent of it must read on.  Each is read once soon
after the start and then now and then, host by host.  One that reads off, twice,
while the host answers a heartbeat sent after that, is wired elsewhere: fencing
with it would cut the power of another machine and prove nothing about this one.
What we have switched off ourselves is known, and no sign of wrong wires.
"""

from __future__ import annotations

from collections.abc import Mapping

from pmwatchd.core import upkeep
from pmwatchd.core import watch as watching
from pmwatchd.core.events import HostProbed
from pmwatchd.core.machine import Check, Doubt, Machine
from pmwatchd.core.model import PowerStatus, ProbeResult
from pmwatchd.core.orders import ProbeHost
from pmwatchd.core.site import Site

AGAIN_S = 10.0
"""What reads off is read again so much later."""

PATHS = 2
"""So many proxies try an agent: where a password is wrong, more would lock the account."""


def turns(site: Site, machines: Mapping[str, Machine], now: float) -> list[str]:
    """Return the hosts whose agents are to be read now."""
    safety = site.rules.safety

    def ready(name: str) -> bool:
        return _readable(machines[name]) and machines[name].check is None

    names = site.rounds.turns(
        now, within_s=safety.startup_hold_s, every_s=safety.inspect_every_s, ready=ready
    )
    for name in names:
        machines[name].wiring.due = True
        machines[name].check_at = now
    return names


def wanted(machine: Machine) -> bool:
    """Whether its agents are to be read because it answers."""
    wiring = machine.wiring
    return _readable(machine) and bool(wiring.due or wiring.suspect or wiring.off)


def _readable(machine: Machine) -> bool:
    """Whether it answers, is in nobody's hands, and has agents that may be used."""
    power = machine.host.power_management
    idle = machine.operation is None and machine.maintenance is None and not machine.gone
    return idle and power.enabled and bool(power.agents) and isinstance(machine.watch, watching.Up)


def judge(site: Site, machine: Machine, check: Check, now: float) -> None:
    """Take in one reading of all agents."""
    wiring = machine.wiring
    if not isinstance(machine.watch, watching.Up):
        return
    wiring.due = len(check.answering) < len(check.power)  # some were read while it still booted
    host = check.host
    known = machine.missing | machine.doubtful | wiring.off
    read_off = {name for name in check.answering if check.power[name] is PowerStatus.OFF}
    off = host.outlets(read_off) - known
    twice, wiring.suspect = off & wiring.suspect, off - wiring.suspect
    if wiring.suspect:
        machine.check_at = now + AGAIN_S
    if twice:
        wiring.accused, wiring.asked = twice, check.id
        site.orders.append(ProbeHost(host=host, operation=check.id, turn=0))


def acquit(site: Site, machine: Machine, on: frozenset[str], now: float) -> None:
    """What reads on while its host answers is mended, whoever had it read."""
    machine.wiring.accused -= on
    if isinstance(machine.watch, watching.Up):
        machine.wiring.off -= on
    upkeep.wired(site, machine, now)


def vindicated(site: Site, machine: Machine, doubt: Doubt, now: float) -> None:
    """It answered until these cut its power, and not since: they are its own."""
    machine.doubt, machine.miswired = None, ""
    machine.wiring.off -= doubt.outlets
    upkeep.wired(site, machine, now)


def probed(site: Site, machine: Machine, event: HostProbed, now: float) -> None:
    """An answer after the second reading of off: this host has its power from elsewhere."""
    doubt = machine.doubt
    if doubt is not None and (doubt.operation, doubt.turn) == (event.operation, event.turn):
        machine.doubt = None
        if event.result is ProbeResult.SILENT:  # an answer may be of its next boot
            vindicated(site, machine, doubt, now)
        return
    wiring = machine.wiring
    if not wiring.asked or wiring.asked != event.operation:
        return
    accused, wiring.accused, wiring.asked = wiring.accused, frozenset(), ""
    if event.result is ProbeResult.ALIVE and _readable(machine):
        wiring.off |= accused
        upkeep.mended(site, machine, now)
