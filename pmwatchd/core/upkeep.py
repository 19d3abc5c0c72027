"""What is noted of one machine and told once: its watch, its maintenance, its alerts."""

from __future__ import annotations

from dataclasses import replace

from pmwatchd.core import opinion
from pmwatchd.core import watch as watching
from pmwatchd.core.machine import Machine, Maintenance, Wiring
from pmwatchd.core.model import Alert
from pmwatchd.core.site import Site
from pmwatchd.core.views import RaisedAlert


def enter(site: Site, machine: Machine, watch: watching.Watch, now: float) -> None:
    """Enter a state of the watch and tell what is worth telling."""
    before = machine.watch
    if isinstance(watch, watching.Connecting) and machine.fingerprint != machine.host.fingerprint:
        # it was powered on without ever having answered here: nothing to miss
        watch = watching.Unknown(now)
    machine.watch = watch
    if type(before) is type(watch):
        return
    if machine.wiring.suspect:  # it was read off once and is not up: that is to begin anew
        machine.wiring.suspect, machine.wiring.due = frozenset(), True
    if not isinstance(watch, watching.Up | watching.Connecting):
        machine.weak_since = None  # whatever comes back speaks for itself
        clear(site, machine, Alert.HALF_ALIVE)
    match watch:
        case watching.Connecting() if isinstance(before, watching.Up) and not machine.deafness:
            site.tell("watch.grace_began", machine, silent_s=round(now - watch.base_at, 3))
        case watching.NonResponsive():
            silent_s = round(now - watch.base_at, 3)
            site.tell("watch.non_responsive", machine, silent_s=silent_s)
        case watching.Up() if not _recalled(before):
            took_s = round(now - before.since_at, 3)
            was = watching.liveness(before)
            site.tell("watch.answered", machine, was=was, took_s=took_s)
        case _:
            pass


def _recalled(watch: watching.Watch) -> bool:
    """Whether it was known from the last start and has not been missed since this one."""
    return isinstance(watch, watching.Connecting) and not watch.failures


def begin_maintenance(site: Site, machine: Machine, keeper: Maintenance, now: float) -> None:
    """Take a host out of automatic fencing."""
    for_s = None if keeper.until_at is None else round(keeper.until_at - now, 3)
    machine.maintenance = replace(keeper, for_s=for_s)
    clear(site, machine, Alert.PARTITIONED)  # others are not asked about it any more
    until = keeper.expires_at.isoformat() if keeper.expires_at else None
    site.tell(
        "maintenance.began",
        machine,
        by=keeper.by,
        reason=keeper.reason,
        until=until,
        for_s=for_s,
    )


def keep_off(site: Site, machine: Machine, *, by: str, reason: str, now: float) -> None:
    """Keep a host off as a person wants it: in maintenance, until a person ends that."""
    begin_maintenance(site, machine, Maintenance(by=by, reason=reason, kept_off=True), now)


def end_maintenance(site: Site, machine: Machine, *, by: str, reason: str, now: float) -> None:
    """Put a host back; one that is silent goes through its grace from then on."""
    machine.maintenance = None
    # one that is thought up may be silent already: the heartbeat that tells is yet to come
    if isinstance(machine.watch, watching.Connecting | watching.NonResponsive | watching.Up):
        enter(site, machine, watching.unheard(machine.host, machine.watch, now), now)
    site.tell("maintenance.ended", machine, by=by, reason=reason)


def announce_end(site: Site, machine: Machine, keeper: Maintenance) -> None:
    """Tell, once, that a maintenance is about to end."""
    machine.maintenance = replace(keeper, announced=True)
    until = keeper.expires_at.isoformat() if keeper.expires_at else None
    site.tell("maintenance.end_announced", machine, until=until)


def alert(site: Site, machine: Machine, name: Alert, reason: str, now: float) -> None:
    """Raise an alert, once; its reason may change."""
    raised = machine.alerts.get(name)
    since_at = now if raised is None else raised.since_at
    machine.alerts[name] = RaisedAlert(name=name, since_at=since_at, reason=reason)
    if raised is None:
        site.tell("alert.raised", machine, alert=name, reason=reason)


def clear(site: Site, machine: Machine, *names: Alert) -> None:
    """Clear alerts, where they are raised."""
    for name in names:
        if machine.alerts.pop(name, None) is not None:
            site.tell("alert.cleared", machine, alert=name)


def protect(site: Site, machine: Machine, now: float) -> None:
    """Say at once, and not only when it is dead, that a host cannot be fenced."""
    power = machine.host.power_management
    if power.enabled and power.agents:
        if Alert.UNPROTECTED in machine.alerts:
            clear(site, machine, Alert.UNPROTECTED, Alert.UNFENCED)
        return
    why = "it has no fence agent" if power.enabled else "power management is switched off"
    alert(site, machine, Alert.UNPROTECTED, why, now)


def redefine(site: Site, machine: Machine, now: float) -> None:
    """Watch a host at its new address, or with its new probes, from the beginning."""
    if machine.fingerprint != machine.host.fingerprint:
        machine.seen = False
        enter(site, machine, watching.Unknown(now), now)
        clear(site, machine, Alert.PARTITIONED, Alert.HALF_ALIVE)  # nothing is known of it here
    elif isinstance(machine.watch, watching.Unknown):  # it has answered here before
        enter(site, machine, watching.Connecting(now, base_at=now), now)
        clear(site, machine, Alert.UNFENCED)
    machine.inquiry = opinion.forget(machine.inquiry)  # others may have to be asked now
    machine.watch = watching.redefined(machine.host, machine.watch, now)
    machine.check, machine.off_readings = None, 0  # its readings were of other agents
    kept = machine.host.outlets(machine.host.named(machine.wiring.off))
    machine.wiring = Wiring(off=kept)
    protect(site, machine, now)
    if machine.maintenance is None or not machine.maintenance.kept_off:
        mended(site, machine, now)
    wired(site, machine, now)


def mended(site: Site, machine: Machine, now: float) -> None:
    """Raise or clear the alerts about what is not on again, or switches another machine."""
    if machine.missing:
        left = machine.missing_agents - machine.pursued
        names = [
            f"{name} (given up)" if name in left else name
            for name in sorted(machine.missing_agents)
        ]
        names += [f"{outlet} (no agent switches it now)" for outlet in sorted(machine.ownerless)]
        reason = f"not on again: {', '.join(names)}"
        alert(site, machine, Alert.DEGRADED_POWER, reason, now)
    else:
        clear(site, machine, Alert.DEGRADED_POWER)
    running = machine.operation
    restoring = running and running.restoring and running.outcome is None
    if not machine.missing and not restoring:
        clear(site, machine, Alert.PARTIAL_OFF)
    wired(site, machine, now)


def wired(site: Site, machine: Machine, now: float) -> None:
    """Raise or clear the alert about agents that switch another machine."""
    if machine.miswired != machine.host.wiring:
        machine.miswired = ""
    if machine.wired_elsewhere:
        alert(site, machine, Alert.MISWIRED, machine.wired_elsewhere, now)
    else:
        clear(site, machine, Alert.MISWIRED)
