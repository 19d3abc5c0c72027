"""
S4, checked when everything was well for long enough.

Nothing is open, nothing that the daemon switched off is off, every alert that
is raised is true and every true one is raised, and no host is silent without
being pursued or held by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pmwatchd.core.model import Alert, HoldName, Liveness
from pmwatchd.core.views import HostView
from tests.simulation.hardware import Switch
from tests.simulation.truth import Violation

if TYPE_CHECKING:
    from tests.simulation.site import Site

LASTING = frozenset({HoldName.MAINTENANCE, HoldName.UNPROTECTED, HoldName.SELF, HoldName.SHADOW})
"""Holds under which a host may stay silent for as long as a person likes."""


class _Findings:
    """What is left over."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.found: list[Violation] = []
        self.unfenced = 0

    def add(self, rule: str, what: str) -> None:
        """Note one thing."""
        self.found.append(Violation(self.site.world.now, rule, what))


def judge(site: Site) -> list[Violation]:
    """See what is left over; nothing when all is as it should be."""
    assert site.daemon is not None
    findings = _Findings(site)
    if site.disk.behind:
        findings.add("end", "the disk is mended, and the journal is still behind")
    views = {view.host.name: view for view in site.daemon.fleet.hosts()}
    pursued: set[str] = set()
    for shown in site.daemon.fleet.operations():
        if shown.closed_at is None:
            pursued.add(shown.id)
            findings.add("S4", f"{shown.id} of {shown.host} is still open: {shown.phase}")
    for saved in site.disk.open.values():
        if saved.id not in pursued:
            findings.add("S4", f"{saved.id} of {saved.host} is open on disk and not pursued")
    for alert in site.daemon.fleet.alerts():
        findings.add("alerts", f"{alert.name} is raised for the site: {alert.reason}")
    for name in site.layout.hosts:
        if name in views:
            _judge_host(findings, views[name])
        else:
            findings.add("S4", f"{name} is not watched any more")
    site.witness.figures.unfenced = findings.unfenced
    return findings.found


def _judge_host(findings: _Findings, view: HostView) -> None:
    site, name = findings.site, view.host.name
    off = [switch for switch in _switches(site, name) if not switch.on]
    alerts = {alert.name for alert in view.alerts}
    _judge_power(findings, name, off, alerts)
    _judge_alerts(findings, view, off, alerts)
    if view.maintenance is not None and not site.people.may_keep(name):
        by = view.maintenance.by
        findings.add("maintenance", f"{name} is kept by {by}, who was refused or never asked")
    if view.liveness is Liveness.UP and not site.iron.machines[name].answers:
        findings.add("S4", f"{name} is {view.liveness}, and truly {site.iron.machines[name].state}")
    holds = {hold.name for hold in view.holds}
    if HoldName.SHADOW in holds and view.host.automatic:
        findings.add("S4", f"{name} is in shadow mode, and nobody said so")
    if view.liveness is Liveness.UP or LASTING & holds or not view.host.automatic:
        return
    if view.maintenance is not None or name in site.people.wants_off:
        return
    if HoldName.ALIVE_CHECK in holds and _nobody_can_check(site, view):
        return
    if view.liveness is not Liveness.UNKNOWN:
        machine = site.iron.machines[name]
        findings.unfenced += not machine.answers
        findings.add(
            "S4",
            f"{name} is {view.liveness} in the end ({view.status}; truly {machine.state},"
            f" powered: {machine.powered}), holds: {[str(hold.name) for hold in view.holds]}",
        )


def _nobody_can_check(site: Site, view: HostView) -> bool:
    """Whether its alive check runs on proxies, and none is left that could serve."""
    assert site.daemon is not None
    check, fleet = view.host.alive_check, site.daemon.fleet
    named = set(view.host.power_management.proxies) - {"engine", "cluster", "dc", "other_dc"}
    serving = {
        other.host.name
        for other in fleet.hosts()
        if other.liveness is Liveness.UP and other.maintenance is None and not other.host.engine
    }
    unwatched = named - {other.host.name for other in fleet.hosts()}
    others = (serving - {view.host.name}) | unwatched
    return check is not None and check.through_proxy and not others


def _switches(site: Site, name: str) -> list[Switch]:
    machine = site.iron.machines[name]
    return [*machine.feeds, *([machine.chassis] if machine.chassis else [])]


def _judge_power(findings: _Findings, name: str, off: list[Switch], alerts: set[Alert]) -> None:
    """What the daemon switched off is on again, unless a person wanted it, or it is alerted."""
    site = findings.site
    for switch in off:
        operation, persons = site.witness.last_off.get(switch, ("", True))
        if persons or name in site.people.wants_off:
            continue
        if {Alert.DEGRADED_POWER, Alert.PARTIAL_OFF, Alert.LEFT_OFF} & alerts:
            continue  # it said so
        findings.add("S4", f"{switch.name} is still off since {operation}, and no alert says so")


def _judge_alerts(
    findings: _Findings, view: HostView, off: list[Switch], alerts: set[Alert]
) -> None:
    name, broke = view.host.name, findings.add
    up = view.liveness is Liveness.UP
    untrue = [
        (Alert.UNFENCED, up),
        (Alert.LEFT_OFF, up or not off),
        (Alert.PARTIAL_OFF, not off),
        (Alert.DEGRADED_POWER, not off),
        (Alert.UNPROTECTED, bool(view.host.groups)),
        (Alert.PARTITIONED, True),
        (Alert.PARKED, True),
        (Alert.MISWIRED, True),  # the cables are mended, and that was read, or proven by a person
        (Alert.HALF_ALIVE, up),
    ]
    for alert, wrong in untrue:
        if alert in alerts and wrong:
            broke("alerts", f"{alert} is raised for {name}, and is not true")
    if not view.host.groups and Alert.UNPROTECTED not in alerts:
        broke("alerts", f"unprotected is not raised for {name}")
    silent = view.liveness is Liveness.NON_RESPONSIVE
    if silent and not view.host.groups and Alert.UNFENCED not in alerts:
        broke("alerts", f"unfenced is not raised for {name}")
