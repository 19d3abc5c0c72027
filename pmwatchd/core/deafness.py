"""
Is it only that we cannot ask it?

A probe that cannot be tried from here (no such name, no route, no descriptor)
proves neither life nor silence.  A host of which nothing else comes for longer
than its grace is not known to be up any more: it is named, with the fault, and
is not fenced for it.  The first heartbeat that tells ends that.
"""

from __future__ import annotations

from collections.abc import Iterator

from pmwatchd.core import upkeep
from pmwatchd.core.events import Unheard
from pmwatchd.core.holds import Verdict
from pmwatchd.core.machine import Deafness, Machine
from pmwatchd.core.model import Alert, HoldName
from pmwatchd.core.site import Site


def began(site: Site, machine: Machine, sign: Unheard, now: float) -> None:
    """Nothing but local faults came for longer than its grace."""
    machine.deafness = Deafness(sign.fault, machine.host.fingerprint)
    upkeep.alert(site, machine, Alert.OBSERVER_ILL, _words(machine.deafness), now)


def ended(site: Site, machine: Machine) -> None:
    """A heartbeat told something."""
    machine.deafness = None
    upkeep.clear(site, machine, Alert.OBSERVER_ILL)


def attend(site: Site, machine: Machine) -> None:
    """Forget it where the host is asked at another address, or with other probes, by now."""
    deafness = machine.deafness
    if deafness is not None and deafness.fingerprint != machine.host.fingerprint:
        ended(site, machine)


def verdicts(machine: Machine) -> Iterator[Verdict]:
    """Hold a host that we cannot ask."""
    if machine.deafness is not None:
        yield Verdict(HoldName.OBSERVER_ILL, _words(machine.deafness))


def _words(deafness: Deafness) -> str:
    return f"no heartbeat of it tells anything: a local fault of ours, {deafness.fault}"
