"""The operation of one machine: opened, advanced, and what follows from its end."""

from __future__ import annotations

from dataclasses import replace

from pmwatchd.core import fence, inspection, power, resume, upkeep
from pmwatchd.core import watch as watching
from pmwatchd.core.durations import doubled
from pmwatchd.core.events import AgentReplied, DeadlineReached
from pmwatchd.core.machine import Doubt, Machine
from pmwatchd.core.model import Action, Alert, Cause, FenceAction, Outcome
from pmwatchd.core.operation import Cancelled, FenceEvent, Move, Operation, Phase, Vouched
from pmwatchd.core.orders import ProbeHost, ReportNext, RunAgent, SaveOperation
from pmwatchd.core.rules import Fencing
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
    completes: bool = False,
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
        was_up=_is_up(machine),
        owed=machine.missing_agents if cause is Cause.PERSON else machine.pursued,
        vouched=vouched,
        word_only=vouched is not None,
        completes=completes,
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
    operation = _recall(machine, saved, now)
    site.tell("fence.continued", machine, phase=_where(operation), action=operation.action)
    site.orders.append(ReportNext(machine.name))  # it may be up, which ends a pursuit of `on`
    if operation.restoring is not None:
        _tell_partial(site, machine, operation, now)
    if operation.until_at <= now:
        fence_step(site, machine, DeadlineReached(), now)


def abandon(
    site: Site, machine: Machine, saved: SaveOperation, word: Cancelled, now: float
) -> None:
    """End an operation that a former start left open and no agent can carry on."""
    operation = _recall(machine, saved, now)
    _move(site, machine, fence.abandon(operation, word, now), now)


def _recall(machine: Machine, saved: SaveOperation, now: float) -> Operation:
    """Give a machine its operation back; what no agent of now switches stays in mind."""
    operation = machine.operation = resume.resume(saved, machine.host, now)
    machine.note_missing(machine.missing | resume.unknown(saved, machine.host))
    return operation


def _where(operation: Operation) -> str:
    if operation.proven_on_at is not None:
        return "proven on"
    return "proven off" if operation.proven_off_at is not None else "before off"


def _move(site: Site, machine: Machine, move: Move, now: float) -> None:
    """Enter the next state of an operation: its orders first, then what follows from it."""
    before, after = machine.operation, move.operation
    machine.operation = after
    _take_slot(site, after)
    fenced = after.cause is Cause.AUTOMATIC and _switches(after)
    if _just(before, after, "proven_off_at") and fenced:
        site.budget.proven(now)
    _save(site, machine, after)
    for order in move.orders:
        match order:
            case RunAgent():
                completed = site.complete(order, after.host, now)
                _tell_spaced(site, machine, completed, now)
                site.orders.append(completed)
            case ProbeHost():  # silence where it is not known any more, or not yet, shows nothing
                machine.probed = after.host if machine.gone else machine.host
                site.orders.append(replace(order, host=machine.probed))
            case _:
                site.orders.append(order)
    if _just(before, after, "proven_off_at"):
        upkeep.clear(site, machine, Alert.PARTITIONED)  # nobody reaches what is off
    if after.miswired:
        machine.miswired = after.host.wiring
        upkeep.mended(site, machine, now)
    if _just(before, after, "restoring"):
        _tell_partial(site, machine, after, now)
    if _just(before, after, "proven_on_at"):
        _powered_on(site, machine, after, now)
    if after.phase is Phase.RESTING and not _is_up(machine):
        reason = "switched off, and not proven on again"
        upkeep.alert(site, machine, Alert.LEFT_OFF, reason, now)
    if after.phase is Phase.CLOSED:
        _closed(site, machine, after, now)


def _switches(operation: Operation) -> bool:
    """Whether it switches anything: one that finds a host off may leave it so."""
    goes_on = operation.phase is not Phase.CLOSED or operation.proven_on_at is not None
    return goes_on or bool(operation.switched)


def _tell_spaced(site: Site, machine: Machine, order: RunAgent, now: float) -> None:
    """A wait that nothing else shows."""
    if order.not_before > now:
        for_s = round(order.not_before - now, 3)
        by = site.rules.safety.poweron_spacing.by
        site.tell("fence.spaced", machine, agent=order.agent.name, for_s=for_s, reason=by)


def _just(before: Operation | None, after: Operation, name: str) -> bool:
    """Whether something was reached by this move."""
    reached = getattr(after, name) is not None
    return reached and (before is None or getattr(before, name) is None)


def _take_slot(site: Site, operation: Operation) -> None:
    """A slot is taken until the off is proven or given up; switching on needs none."""
    fences = operation.cause is Cause.AUTOMATIC and operation.action is not Action.ON
    before_off = operation.proven_off_at is None and operation.restoring is None
    running = operation.phase in (Phase.BLOCKED, Phase.OFF, Phase.LOOK)
    waits = operation.resumed and operation.phase is Phase.LOOK  # maybe long: holds apply anew
    if fences and before_off and running and not waits:
        site.fencing.add(operation.host.name)
    else:
        site.fencing.discard(operation.host.name)


def _tell_partial(site: Site, machine: Machine, operation: Operation, now: float) -> None:
    names = ", ".join(sorted(operation.switched))
    upkeep.alert(site, machine, Alert.PARTIAL_OFF, f"sent off and not proven: {names}", now)


def _save(site: Site, machine: Machine, operation: Operation) -> None:
    """Journal the step that an operation has reached, if it is another than before."""
    saved = resume.save(operation)
    if saved != machine.saved_operation:
        machine.saved_operation = saved
        site.orders.append(saved)


def _powered_on(site: Site, machine: Machine, operation: Operation, now: float) -> None:
    """Begin to wait for the boot."""
    machine.left_off = False
    upkeep.clear(site, machine, Alert.LEFT_OFF)
    found_up = _is_up(machine) and not operation.switched
    if not found_up and not operation.miswired and not power.was_on(operation):
        upkeep.enter(site, machine, watching.power_on(machine.host, now), now)
        site.orders.append(ReportNext(machine.name))
    _wanted_on(site, machine, operation, now)


def _wanted_on(site: Site, machine: Machine, operation: Operation, now: float) -> None:
    """End the maintenance of a person's off, where this is a person's word for on."""
    keeper = machine.maintenance
    wanted_on = operation.cause is Cause.PERSON and operation.action is not Action.OFF
    if wanted_on and keeper is not None and keeper.kept_off:
        reason = f"power {operation.action}"
        upkeep.end_maintenance(site, machine, by=operation.by, reason=reason, now=now)


def _closed(site: Site, machine: Machine, operation: Operation, now: float) -> None:
    """Draw the consequences of an operation's end."""
    fencing = site.rules.fencing
    if operation.proven_off_at is not None:
        machine.quiet_until = now + fencing.quiet_time_s
    seen_off = operation.proven_off_at is not None and operation.vouched is None
    if seen_off and operation.switched and operation.was_up and not operation.miswired:
        outlets = operation.host.outlets(operation.switched)
        machine.doubt = Doubt(operation.id, operation.doubt, outlets)
        if operation.doubted and not operation.deaf:
            inspection.vindicated(site, machine, machine.doubt, now)
    _remember_missing(machine, operation, fencing, now)
    fenced = operation.cause is Cause.AUTOMATIC and _switches(operation)
    if seen_off and fenced and operation.cancelled is None:
        _count_loop(site, machine, now)
    match operation.outcome:
        case Outcome.FAILED if operation.cause is Cause.AUTOMATIC and not _is_up(machine):
            if operation.action is Action.RESTART or machine.silent:
                pause_s = doubled(fencing.retry_min_s, machine.failures, fencing.retry_max_s)
                machine.failures += 1
                machine.retry_at = now + pause_s
        case Outcome.CANCELLED if operation.cancelled and not operation.cancelled.to_fence:
            _given_up(site, machine, operation, operation.cancelled, now)
        case Outcome.CANCELLED if operation.blind:
            machine.retry_at = now + fencing.retry_min_s
        case Outcome.DONE if operation.action is Action.OFF:
            machine.failures, machine.retry_at = 0, None
            upkeep.clear(site, machine, Alert.UNFENCED)
            reason = operation.reason or "power off"
            upkeep.keep_off(site, machine, by=operation.by, reason=reason, now=now)
        case Outcome.DONE | Outcome.DEGRADED if not _completes(operation):
            machine.failures, machine.retry_at = 0, None
            upkeep.clear(site, machine, Alert.UNFENCED)
        case _:
            pass
    if operation.outcome in (Outcome.RECOVERED, Outcome.FAILED) and _is_up(machine):
        _wanted_on(site, machine, operation, now)  # it is on, though no agent says so
    # a reading will tell
    unsure = operation.outcome is Outcome.RECOVERED and machine.missing_agents
    upkeep.wired(site, machine, now)
    if not _kept_off(machine) and not unsure:
        upkeep.mended(site, machine, now)
    site.ended.append(operation)
    machine.operation, machine.operated_at = None, now


def _remember_missing(machine: Machine, operation: Operation, fencing: Fencing, now: float) -> None:
    """Keep in mind what is not proven on again, whichever operation switched it off."""
    host = operation.host
    working = power.missing(operation) if operation.outcome is Outcome.DEGRADED else frozenset()
    off = machine.missing | host.outlets(operation.switched | working)
    machine.note_missing(off - host.outlets(operation.on))
    machine.given_up -= host.outlets(operation.switched)
    # What was sent off in vain and is found on may yet go off late, whatever is done meanwhile.
    in_vain = operation.found_on & (operation.switched if operation.restoring else operation.vain)
    earlier = machine.doubtful if now < machine.doubt_until else frozenset()
    machine.doubtful = earlier | host.outlets(in_vain)
    if in_vain:
        machine.doubt_until = now + fencing.budget_s(FenceAction.OFF)


def _given_up(
    site: Site, machine: Machine, operation: Operation, word: Cancelled, now: float
) -> None:
    """Leave off what a person wants left off; a host that is down is kept so."""
    machine.given_up = machine.missing
    if not _is_gone(machine, operation):
        return
    if _was_off(machine, operation):
        machine.left_off = True
        upkeep.alert(site, machine, Alert.LEFT_OFF, "its switching on was cancelled", now)
    reason = word.reason or "power cancel"
    upkeep.keep_off(site, machine, by=word.by, reason=reason, now=now)


def _count_loop(site: Site, machine: Machine, now: float) -> None:
    """A host that is fenced again and again is parked until a person looks at it."""
    machine.fenced += 1
    if machine.parked or machine.fenced < site.rules.safety.loop_limit:
        return
    machine.parked = True
    reason = f"fenced {machine.fenced} times without being up for long"
    site.tell("host.parked", machine, fenced=machine.fenced, reason=reason)
    upkeep.alert(site, machine, Alert.PARKED, reason, now)


def _completes(operation: Operation) -> bool:
    """Whether it found that the host had power: no excuse for its silence, nor for a failure."""
    return power.was_on(operation)


def _was_off(machine: Machine, operation: Operation) -> bool:
    """Whether something of it was switched off and is not known to be on."""
    off = bool(machine.missing or operation.to_restore)
    lost = operation.action is Action.ON and operation.cause is Cause.AUTOMATIC  # it read off twice
    return off or lost or operation.proven_off_at is not None


def _is_gone(machine: Machine, operation: Operation) -> bool:
    """Whether it is down: silent, or off so lately that its silence was not noticed yet."""
    if operation.proven_on_at is not None:
        return False
    if not _is_up(machine):
        return True
    off_at = operation.proven_off_at
    if operation.resumed:  # it answered since this start, and that was after the off
        return False
    if operation.restoring is Outcome.FAILED and not operation.miswired:
        return operation.answered_at is None
    return off_at is not None and (operation.answered_at or off_at) <= off_at


def _is_up(machine: Machine) -> bool:
    return isinstance(machine.watch, watching.Up)


def _kept_off(machine: Machine) -> bool:
    return machine.maintenance is not None and machine.maintenance.kept_off
