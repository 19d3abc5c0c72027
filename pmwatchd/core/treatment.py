"""
What happens to one machine: heard, missed, held, fenced, back.

Joins the two state machines (:mod:`~pmwatchd.core.watch` and
:mod:`~pmwatchd.core.fence`) with the holds and the alerts of one machine.
Every function takes the site, the machine and the instant, changes the
machine, and leaves its orders at the site.
"""

from __future__ import annotations

from pmwatchd.core import fence, holds, resume
from pmwatchd.core import watch as watching
from pmwatchd.core.events import (
    AgentReplied,
    Answered,
    DeadlineReached,
    HostProbed,
    ObserverPaused,
    Silent,
)
from pmwatchd.core.machine import Machine, Maintenance
from pmwatchd.core.model import Action, Alert, Cause, HoldName, Outcome, ProbeResult
from pmwatchd.core.operation import FenceEvent, Looked, Move, Operation, Phase, Recovered
from pmwatchd.core.orders import HoldDevice, ReportNext, RunAgent, SaveOperation
from pmwatchd.core.site import Site
from pmwatchd.core.views import Hold, RaisedAlert

Sign = Answered | Silent | ObserverPaused

JUDGE_EVERY_S = 1.0
"""A host that stays silent is judged again at least so often."""

_MENDED_BY_AN_ANSWER = (Alert.UNFENCED, Alert.LEFT_OFF)
_MENDED_BY_POWER = (Alert.LEFT_OFF, Alert.PARTIAL_OFF, Alert.DEGRADED_POWER)


def sensed(site: Site, machine: Machine, sign: Sign, now: float) -> None:
    """Take in a sign of life, or of silence."""
    if isinstance(sign, Answered):
        machine.last_answer_at = sign.at
        machine.seen = True
        machine.fingerprint = machine.host.fingerprint
    _watch(site, machine, watching.step(machine.host, machine.watch, sign, now), now)
    if watching.never_answered(machine.host, machine.watch, now):
        reason = "it has never answered at its present address with its present probes"
        alert(site, machine, Alert.UNFENCED, reason, now)
    if isinstance(sign, Answered):
        machine.failures, machine.retry_at, machine.left_off = 0, None, False
        for name in _MENDED_BY_AN_ANSWER:
            clear(site, machine, name)
        if machine.operation is not None:
            fence_step(site, machine, Recovered(sign.at), now)


def attend(site: Site, machine: Machine, now: float) -> None:
    """Let time pass: the watch, the maintenance, the operation and the holds."""
    watch = watching.step(machine.host, machine.watch, DeadlineReached(), now)
    _watch(site, machine, watch, now)
    keeper = machine.maintenance
    if keeper and keeper.until_at is not None and now >= keeper.until_at:
        end_maintenance(site, machine, by="pmwatchd", reason="its time is over")
    _forget_what_is_over(machine, now)
    if machine.operation is not None:
        due_at = fence.deadline(machine.operation, site.rules.fencing)
        if due_at is not None and now >= due_at:
            fence_step(site, machine, DeadlineReached(), now)
    _judge(site, machine, now)


def deadline(site: Site, machine: Machine, now: float) -> float | None:
    """When :func:`attend` has something to do for this machine."""
    instants = [watching.deadline(machine.host, machine.watch)]
    if machine.operation is not None:
        instants.append(fence.deadline(machine.operation, site.rules.fencing))
    elif machine.silent:
        instants.append(now + JUDGE_EVERY_S)
    if machine.maintenance is not None:
        instants.append(machine.maintenance.until_at)
    instants += [machine.quiet_until, machine.retry_at]
    return min((at for at in instants if at is not None), default=None)


def _forget_what_is_over(machine: Machine, now: float) -> None:
    if machine.quiet_until is not None and now >= machine.quiet_until:
        machine.quiet_until = None
    if machine.retry_at is not None and now >= machine.retry_at:
        machine.retry_at = None


def _watch(site: Site, machine: Machine, watch: watching.Watch, now: float) -> None:
    """Enter a state of the watch and tell what is worth telling."""
    before = machine.watch
    if isinstance(watch, watching.Connecting) and machine.fingerprint != machine.host.fingerprint:
        # it was powered on without ever having answered here: nothing to miss
        watch = watching.Unknown(now)
    machine.watch = watch
    if type(before) is type(watch):
        return
    match watch:
        case watching.Connecting() if isinstance(before, watching.Up):
            site.tell("watch.grace_began", machine, silent_s=round(now - watch.base_at, 3))
        case watching.NonResponsive():
            silent_s = round(now - watch.base_at, 3)
            site.tell("watch.non_responsive", machine, silent_s=silent_s)
        case watching.Up():
            first = isinstance(before, watching.Connecting) and not before.failures
            if not first:
                took_s = round(now - before.since_at, 3)
                was = watching.liveness(before)
                site.tell("watch.answered", machine, was=was, took_s=took_s)
        case _:
            pass


# holds -------------------------------------------------------------------------------------


def _judge(site: Site, machine: Machine, now: float) -> None:
    """Show every hold of a silent host; open an operation when there is none."""
    automatic = machine.operation is not None and machine.operation.cause is Cause.AUTOMATIC
    if not machine.silent or automatic:
        _show_holds(site, machine, (), now)
        return
    verdicts = _verdicts(site, machine, now)
    _show_holds(site, machine, verdicts, now)
    unprotected = [v.reason for v in verdicts if v.name is HoldName.UNPROTECTED]
    if unprotected:
        alert(site, machine, Alert.UNFENCED, unprotected[0], now)
    if not verdicts:
        reason = f"silent for {now - _base_at(machine, now):.0f} s, beyond its grace"
        open_operation(
            site, machine, Action.RESTART, Cause.AUTOMATIC, by="pmwatchd", reason=reason, now=now
        )


def _verdicts(site: Site, machine: Machine, now: float) -> tuple[holds.Verdict, ...]:
    about = machine.circumstances(site.startup_ends_at, journal_writable=site.journal_writable)
    return holds.judge(about, now)


def _show_holds(
    site: Site, machine: Machine, verdicts: tuple[holds.Verdict, ...], now: float
) -> None:
    names = {verdict.name for verdict in verdicts}
    for name in [name for name in machine.holds if name not in names]:
        del machine.holds[name]
        site.tell("hold.ended", machine, hold=name)
    for verdict in verdicts:
        if verdict.name not in machine.holds:
            site.tell("hold.began", machine, hold=verdict.name, reason=verdict.reason)
            machine.holds[verdict.name] = Hold(
                name=verdict.name, since_at=now, reason=verdict.reason
            )


def _base_at(machine: Machine, now: float) -> float:
    return machine.watch.base_at if isinstance(machine.watch, watching.NonResponsive) else now


# the operation -----------------------------------------------------------------------------


def open_operation(
    site: Site,
    machine: Machine,
    action: Action,
    cause: Cause,
    *,
    by: str,
    reason: str,
    now: float,
) -> str:
    """Open an operation and return its id."""
    operation = Operation(
        id=site.new_id(),
        host=machine.host,
        action=action,
        cause=cause,
        by=by,
        reason=reason,
        opened_at=now,
    )
    machine.operation = operation
    _move(site, machine, fence.open_(operation, site.rules.fencing, now), now)
    return operation.id


def fence_step(site: Site, machine: Machine, event: FenceEvent, now: float) -> None:
    """Advance the operation of a machine."""
    operation = machine.operation
    if operation is None:
        return
    if isinstance(event, AgentReplied):
        site.learn(operation.host, event, now)
    _move(site, machine, fence.step(operation, event, site.rules.fencing, now), now)


def probed(site: Site, machine: Machine, event: HostProbed, now: float) -> None:
    """Judge everything again for the last look before an ``off``; an answer to it counts as any."""
    if event.result is ProbeResult.ALIVE:
        sensed(site, machine, Answered(machine.name, now), now)
    verdicts = _verdicts(site, machine, now)
    held = [f"{verdict.name}: {verdict.reason}" for verdict in verdicts]
    if not machine.silent:
        held.append(f"{HoldName.LAST_LOOK}: the host is {watching.liveness(machine.watch)}")
    fence_step(site, machine, Looked(event.turn, event.result, tuple(held)), now)


def _move(site: Site, machine: Machine, move: Move, now: float) -> None:
    """Enter the next state of an operation: its orders first, then what follows from it."""
    before, after = machine.operation, move.operation
    machine.operation = after
    _save(site, machine, after)
    for order in move.orders:
        ordered = order
        if isinstance(order, RunAgent):
            ordered = site.with_chain(order, after.host, now)
        site.orders.append(ordered)
    if after.restoring is not None and (before is None or before.restoring is None):
        names = ", ".join(sorted(after.switched))
        alert(site, machine, Alert.PARTIAL_OFF, f"sent off and not proven: {names}", now)
    if after.proven_on_at is not None and (before is None or before.proven_on_at is None):
        _powered_on(site, machine, after, now)
    if after.phase is Phase.RESTING:
        alert(site, machine, Alert.LEFT_OFF, "switched off, and not proven on again", now)
    if after.phase is Phase.CLOSED:
        _closed(site, machine, after, now)


def _save(site: Site, machine: Machine, operation: Operation) -> None:
    """Journal the step that an operation has reached, if it is another than before."""
    saved = resume.save(operation, site.rules.fencing)
    if saved != machine.saved_operation:
        machine.saved_operation = saved
        site.orders.append(saved)


def _powered_on(site: Site, machine: Machine, operation: Operation, now: float) -> None:
    """Begin to wait for the boot; a person's word ends the maintenance of a person's off."""
    machine.left_off = False
    clear(site, machine, Alert.LEFT_OFF)
    found_up = isinstance(machine.watch, watching.Up) and not operation.switched
    if operation.restoring is None and not found_up:
        _watch(site, machine, watching.power_on(machine.host, now), now)
        site.orders.append(ReportNext(machine.name))
    if operation.cause is Cause.PERSON:
        end_maintenance(site, machine, by=operation.by, reason=f"power {operation.action}")


def _closed(site: Site, machine: Machine, operation: Operation, now: float) -> None:
    """Draw the consequences of an operation's end."""
    fencing = site.rules.fencing
    if operation.proven_off_at is not None:
        machine.quiet_until = now + fencing.quiet_time_s
    match operation.outcome:
        case Outcome.FAILED if operation.cause is Cause.AUTOMATIC:
            pause_s = min(fencing.retry_min_s * 2**machine.failures, fencing.retry_max_s)
            machine.failures += 1
            machine.retry_at = now + pause_s
            alert(site, machine, Alert.UNFENCED, "the last operation failed", now)
        case Outcome.CANCELLED if operation.cancelled is not None:
            machine.left_off = True
            alert(site, machine, Alert.LEFT_OFF, "its switching on was cancelled", now)
            word = operation.cancelled
            _keep_off(site, machine, by=word.by, reason=word.reason or "power cancel", now=now)
        case Outcome.DONE if operation.action is Action.OFF:
            reason = operation.reason or "power off"
            _keep_off(site, machine, by=operation.by, reason=reason, now=now)
        case Outcome.DONE | Outcome.DEGRADED:
            machine.failures, machine.retry_at = 0, None
            clear(site, machine, Alert.UNFENCED)
        case _:
            pass
    _tell_power(site, machine, operation, now)
    site.ended.append(operation)
    machine.operation = None


def _tell_power(site: Site, machine: Machine, operation: Operation, now: float) -> None:
    """Raise or clear the alerts about agents that are not all on again."""
    missing = operation.switched - operation.on
    if operation.on and not missing and operation.outcome is not Outcome.DEGRADED:
        for name in _MENDED_BY_POWER:
            clear(site, machine, name)
    elif operation.on:
        clear(site, machine, Alert.PARTIAL_OFF)
        failed = sorted(name for name, proven in operation.tried_on if not proven)
        alert(site, machine, Alert.DEGRADED_POWER, f"not on again: {', '.join(failed)}", now)


def _keep_off(site: Site, machine: Machine, *, by: str, reason: str, now: float) -> None:
    """Keep a host off as a person wants it: in maintenance, until a person ends that."""
    begin_maintenance(site, machine, Maintenance(by=by, reason=reason), now)


# maintenance and alerts --------------------------------------------------------------------


def begin_maintenance(site: Site, machine: Machine, keeper: Maintenance, now: float) -> None:
    """Take a host out of automatic fencing."""
    machine.maintenance = keeper
    until = keeper.expires_at.isoformat() if keeper.expires_at else None
    for_s = None if keeper.until_at is None else round(keeper.until_at - now, 3)
    site.tell(
        "maintenance.began",
        machine,
        by=keeper.by,
        reason=keeper.reason,
        until=until,
        for_s=for_s,
    )


def end_maintenance(site: Site, machine: Machine, *, by: str, reason: str) -> None:
    """Put a host back; its silence counts from its last answer as ever."""
    if machine.maintenance is not None:
        machine.maintenance = None
        site.tell("maintenance.ended", machine, by=by, reason=reason)


def alert(site: Site, machine: Machine, name: Alert, reason: str, now: float) -> None:
    """Raise an alert, once."""
    if name not in machine.alerts:
        machine.alerts[name] = RaisedAlert(name=name, since_at=now, reason=reason)
        site.tell("alert.raised", machine, alert=name, reason=reason)


def clear(site: Site, machine: Machine, name: Alert) -> None:
    """Clear an alert, if it is raised."""
    if machine.alerts.pop(name, None) is not None:
        site.tell("alert.cleared", machine, alert=name)


def protect(site: Site, machine: Machine, now: float) -> None:
    """Say at once, and not only when it is dead, that a host cannot be fenced."""
    power = machine.host.power_management
    if power.enabled and power.agents:
        clear(site, machine, Alert.UNPROTECTED)
        return
    why = "it has no fence agent" if power.enabled else "power management is switched off"
    alert(site, machine, Alert.UNPROTECTED, why, now)


def redefine(site: Site, machine: Machine, now: float) -> None:
    """Watch a host at its new address, or with its new probes, from the beginning."""
    if machine.fingerprint != machine.host.fingerprint:
        machine.seen = False
        machine.watch = watching.Unknown(now)
    protect(site, machine, now)


def adopt(site: Site, machine: Machine, saved: SaveOperation, now: float) -> None:
    """Continue an operation that a former start left open."""
    operation = resume.resume(saved, machine.host, now)
    machine.operation = operation
    site.tell("fence.continued", machine, phase=_where(operation), action=operation.action)
    for agent, for_s in resume.outstanding(saved, machine.host):
        site.orders.append(HoldDevice(agent=agent, for_s=for_s))
    if operation.until_at <= now:
        fence_step(site, machine, DeadlineReached(), now)


def _where(operation: Operation) -> str:
    if operation.proven_on_at is not None:
        return "proven on"
    return "proven off" if operation.proven_off_at is not None else "before off"
