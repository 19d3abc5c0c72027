"""
Is the power still there?

While a host boots its power is read every 10 s, while an agent that was
switched off is not proven on again, now and then, and before and while it
answers, when others want to know.  What reads off twice gets ``on`` again;
what reads on is not missing any more.  Nothing is read while an
operation runs, which reads for itself, or in a maintenance.  Whatever cannot
be switched on is tried after longer and longer pauses.
"""

from __future__ import annotations

from pmwatchd.core import consult, inspection, judgement, operate, soft, tell, upkeep, verdict
from pmwatchd.core import watch as watching
from pmwatchd.core.events import AgentReplied
from pmwatchd.core.machine import Check, Machine
from pmwatchd.core.model import Action, Cause, PowerStatus
from pmwatchd.core.site import Site

BOOT_PAUSE_S = 10.0
"""Pause between two readings while a host boots."""

OFF_READINGS = 2
"""So many readings of off in a row bring ``on``."""


def deadline(machine: Machine) -> float | None:
    """When the next reading is due, or None."""
    return machine.check_at if machine.check is None and _wanted(machine) else None


def attend(site: Site, machine: Machine, now: float) -> None:
    """Begin a reading when one is due."""
    if not _wanted(machine):
        machine.check, machine.check_at, machine.off_readings = None, None, 0
        if machine.operation is None:  # else what it could not mend is still to be mended
            machine.check_pause_s = 0.0
        return
    if machine.check_at is None:
        urgent = machine.doubtful or isinstance(machine.watch, watching.Booting)
        machine.check_pause_s = (0.0 if urgent else machine.check_pause_s) or BOOT_PAUSE_S
        machine.check_at = now + machine.check_pause_s
    if machine.check is not None or now < machine.check_at:
        return
    agents = machine.host.power_management.agents
    site.checks += 1
    machine.check = Check(
        id=f"check_{site.checks}", host=machine.host, waiting={agent.name for agent in agents}
    )
    paths = None if _needed(machine) else inspection.PATHS
    site.read_power(machine.host, machine.check.id, now, paths=paths)


def replied(site: Site, machine: Machine, event: AgentReplied, now: float) -> None:
    """Take in one agent's reading, and judge when all have come."""
    check = machine.check
    if check is None or check.id != event.operation:
        return
    site.orders += tell.reply(check.host, None, event)
    site.learn(check.host, event, now)
    check.waiting.discard(event.agent)
    check.power[event.agent] = event.reply.power
    if isinstance(machine.watch, watching.Up):
        check.answering.add(event.agent)
    if event.reply.power is PowerStatus.ON:
        inspection.acquit(site, machine, check.host.outlets({event.agent}), now)
    if check.waiting:
        return
    machine.check = None
    booting = isinstance(machine.watch, watching.Booting)
    longer_s = min(machine.check_pause_s * 2, site.rules.fencing.retry_max_s)
    machine.check_pause_s = BOOT_PAUSE_S if booting else longer_s
    machine.check_at = now + machine.check_pause_s
    _judge(site, machine, check, now)


def _judge(site: Site, machine: Machine, check: Check, now: float) -> None:
    held = not machine.silent or bool(
        judgement.passive(site, machine, now) or consult.verdicts(site, machine, now)
    )
    soft.read(site, machine, check, now, held=held, unsure=consult.unsure(machine, now))
    on = {name for name, power in check.power.items() if power is PowerStatus.ON}
    off = {name for name, power in check.power.items() if power is PowerStatus.OFF}
    late = check.host.outlets(off) & machine.doubtful
    machine.note_missing((machine.missing - check.host.outlets(on)) | late)
    if now >= machine.doubt_until:
        machine.doubtful = frozenset()
    inspection.judge(site, machine, check, now)
    upkeep.mended(site, machine, now)
    booting = _is_our_boot(machine)
    dark = booting and verdict.of_booting(check.host, check.power) is PowerStatus.OFF
    if not dark and not machine.pursued & off:
        machine.off_readings = 0
        return
    machine.off_readings += 1
    if machine.off_readings < OFF_READINGS or site.claimed(machine):
        return
    machine.off_readings = 0
    names = ", ".join(sorted(off))
    reason = f"reads off while it boots: {names}" if dark else f"was not switched on again: {names}"
    operate.open_operation(
        site,
        machine,
        Action.ON,
        Cause.AUTOMATIC,
        by="pmwatchd",
        reason=reason,
        now=now,
        completes=bool(on),
    )


def _wanted(machine: Machine) -> bool:
    if machine.operation is not None or machine.maintenance is not None or machine.gone:
        return False
    if not machine.host.groups or not machine.host.power_management.enabled:
        return False
    return _needed(machine) or inspection.wanted(machine)


def _is_our_boot(machine: Machine) -> bool:
    """Whether it boots because we powered it on."""
    return isinstance(machine.watch, watching.Booting) and machine.watch.ours


def _needed(machine: Machine) -> bool:
    """Whether something is to be done if it reads off."""
    return _is_our_boot(machine) or bool(
        machine.pursued or machine.doubtful or machine.soft.reading
    )
