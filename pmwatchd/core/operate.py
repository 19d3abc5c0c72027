"""The operation of one machine: opened, advanced, and what follows from its end."""

from __future__ import annotations

from pmwatchd.core import fence, power, resume, upkeep
from pmwatchd.core import watch as watching
from pmwatchd.core.events import AgentReplied, DeadlineReached
from pmwatchd.core.machine import Machine
from pmwatchd.core.model import Action, Alert, Cause, Outcome
from pmwatchd.core.operation import FenceEvent, Move, Operation, Phase, Vouched
from pmwatchd.core.orders import HoldDevice, ReportNext, RunAgent, SaveOperation
from pmwatchd.core.site import Site


def open_operation(
    site: Site,
    machine: Machine,
    action: Action,
    cause: Cause,
    *,
    by: str,
    reason: str,
    now: float,
    vouched: Vouched | None = None,
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
        owed=machine.missing,
        vouched=vouched,
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
    if after.miswired:
        machine.miswired = after.host.wiring
        upkeep.mended(site, machine, now)
    if after.restoring is not None and (before is None or before.restoring is None):
        names = ", ".join(sorted(after.switched))
        upkeep.alert(site, machine, Alert.PARTIAL_OFF, f"sent off and not proven: {names}", now)
    if after.proven_on_at is not None and (before is None or before.proven_on_at is None):
        _powered_on(site, machine, after, now)
    if after.phase is Phase.RESTING and not _is_up(machine):
        reason = "switched off, and not proven on again"
        upkeep.alert(site, machine, Alert.LEFT_OFF, reason, now)
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
    upkeep.clear(site, machine, Alert.LEFT_OFF)
    found_up = _is_up(machine) and not operation.switched
    if operation.restoring is None and not found_up:
        upkeep.enter(site, machine, watching.power_on(machine.host, now), now)
        site.orders.append(ReportNext(machine.name))
    keeper = machine.maintenance
    if operation.cause is Cause.PERSON and keeper is not None and keeper.kept_off:
        reason = f"power {operation.action}"
        upkeep.end_maintenance(site, machine, by=operation.by, reason=reason)


def _closed(site: Site, machine: Machine, operation: Operation, now: float) -> None:
    """Draw the consequences of an operation's end."""
    fencing = site.rules.fencing
    if operation.proven_off_at is not None:
        machine.quiet_until = now + fencing.quiet_time_s
    if operation.proven_off_at is not None and not operation.miswired:
        machine.miswired = ""  # proven off, and nobody answered: it is the right machine
    _remember_missing(machine, operation)
    match operation.outcome:
        case Outcome.FAILED if operation.cause is Cause.AUTOMATIC and not _is_up(machine):
            pause_s = min(fencing.retry_min_s * 2**machine.failures, fencing.retry_max_s)
            machine.failures += 1
            machine.retry_at = now + pause_s
            upkeep.alert(site, machine, Alert.UNFENCED, "the last operation failed", now)
        case Outcome.CANCELLED if operation.cancelled is not None and not _is_up(machine):
            if operation.to_restore or operation.proven_off_at is not None:
                machine.left_off = True
                reason = "its switching on was cancelled"
                upkeep.alert(site, machine, Alert.LEFT_OFF, reason, now)
            word = operation.cancelled
            reason = word.reason or "power cancel"
            upkeep.keep_off(site, machine, by=word.by, reason=reason, now=now)
        case Outcome.DONE if operation.action is Action.OFF:
            reason = operation.reason or "power off"
            upkeep.keep_off(site, machine, by=operation.by, reason=reason, now=now)
        case Outcome.DONE | Outcome.DEGRADED:
            machine.failures, machine.retry_at = 0, None
            upkeep.clear(site, machine, Alert.UNFENCED)
        case _:
            pass
    unsure = operation.outcome is Outcome.RECOVERED and machine.missing  # a reading will tell
    if not _kept_off(machine) and not unsure:
        upkeep.mended(site, machine, now)
    site.ended.append(operation)
    machine.operation = None


def _remember_missing(machine: Machine, operation: Operation) -> None:
    """Keep in mind what is not proven on again, whichever operation switched it off."""
    known = {agent.name for agent in machine.host.power_management.agents}
    working = power.missing(operation) if operation.outcome is Outcome.DEGRADED else frozenset()
    off = machine.missing | operation.switched | working
    machine.missing = (off - operation.on) & known


def _is_up(machine: Machine) -> bool:
    return isinstance(machine.watch, watching.Up)


def _kept_off(machine: Machine) -> bool:
    return machine.maintenance is not None and machine.maintenance.kept_off
