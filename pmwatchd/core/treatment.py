"""
What happens to one machine: heard, missed, held, fenced, back.

Joins the two state machines (:mod:`~pmwatchd.core.watch` and
:mod:`~pmwatchd.core.fence`) with the holds of one machine.  Every function
takes the site, the machine and the instant, changes the machine, and leaves
its orders at the site.
"""

from __future__ import annotations

from pmwatchd.core import fence, holds, operate, powerwatch, upkeep
from pmwatchd.core import watch as watching
from pmwatchd.core.events import Answered, DeadlineReached, HostProbed, ObserverPaused, Silent
from pmwatchd.core.machine import Machine
from pmwatchd.core.model import Action, Alert, Cause, HoldName, Host, ProbeResult
from pmwatchd.core.operation import Doubted, Looked, Phase, Recovered
from pmwatchd.core.site import Site
from pmwatchd.core.views import Hold

Sign = Answered | Silent | ObserverPaused

JUDGE_EVERY_S = 1.0
"""A host that stays silent is judged again at least so often."""


def sensed(site: Site, machine: Machine, sign: Sign, now: float) -> None:
    """Take in a sign of life, or of silence."""
    if isinstance(sign, Answered):
        machine.last_answer_at = sign.at
        machine.seen = True
        machine.fingerprint = machine.host.fingerprint
    upkeep.enter(site, machine, watching.step(machine.host, machine.watch, sign, now), now)
    if watching.never_answered(machine.host, machine.watch, now):
        reason = "it has not answered at its present address with its present probes"
        upkeep.alert(site, machine, Alert.UNFENCED, reason, now)
    if isinstance(sign, Answered):
        machine.failures, machine.retry_at, machine.left_off = 0, None, False
        upkeep.clear(site, machine, Alert.UNFENCED, Alert.LEFT_OFF)
        if machine.operation is not None:
            operate.fence_step(site, machine, Recovered(sign.at), now)


def probed(site: Site, machine: Machine, event: HostProbed, now: float) -> None:
    """Take in a fresh heartbeat; an answer to it counts as any."""
    operation = machine.operation
    if operation is not None:
        overheard(site, machine, event, operation.host, now)
        operation = machine.operation
    if operation is not None and event.turn == operation.doubt:
        operate.fence_step(site, machine, Doubted(event.turn, event.result), now)
    else:
        _looked(site, machine, event, now)


def overheard(site: Site, machine: Machine, event: HostProbed, asked: Host, now: float) -> None:
    """Take in an answer to a fresh heartbeat, unless another address was asked meanwhile."""
    if event.result is ProbeResult.ALIVE and asked.fingerprint == machine.host.fingerprint:
        sensed(site, machine, Answered(machine.name, now), now)


def _looked(site: Site, machine: Machine, event: HostProbed, now: float) -> None:
    """Judge everything again for the last look before an ``off``, and show what stops it."""
    verdicts = _verdicts(site, machine, now)
    lasting = any(verdict.until_at is None for verdict in verdicts)
    if not machine.silent:
        reason = f"the host is {watching.liveness(machine.watch)}"
        verdicts = (*verdicts, holds.Verdict(HoldName.LAST_LOOK, reason))
        lasting = lasting or isinstance(machine.watch, watching.Unknown)
    _show_holds(site, machine, verdicts, now)
    held = tuple(f"{verdict.name}: {verdict.reason}" for verdict in verdicts)
    operate.fence_step(site, machine, Looked(event.turn, event.result, held, lasting), now)


def attend(site: Site, machine: Machine, now: float) -> None:
    """Let time pass: the watch, the maintenance, the operation, the holds, the readings."""
    watch = watching.step(machine.host, machine.watch, DeadlineReached(), now)
    upkeep.enter(site, machine, watch, now)
    keeper = machine.maintenance
    if keeper and keeper.until_at is not None and now >= keeper.until_at:
        upkeep.end_maintenance(site, machine, by="pmwatchd", reason="its time is over")
    _forget_what_is_over(machine, now)
    if machine.operation is not None:
        due_at = fence.deadline(machine.operation, site.rules.fencing)
        if due_at is not None and now >= due_at:
            operate.fence_step(site, machine, DeadlineReached(), now)
    _judge(site, machine, now)
    powerwatch.attend(site, machine, now)


def deadline(site: Site, machine: Machine, now: float) -> float | None:
    """When :func:`attend` has something to do for this machine."""
    instants = [watching.deadline(machine.host, machine.watch)]
    if machine.operation is not None:
        instants.append(fence.deadline(machine.operation, site.rules.fencing))
    elif machine.silent:
        instants.append(_next_judgement_at(now))
    if machine.maintenance is not None:
        instants.append(machine.maintenance.until_at)
    instants += [machine.quiet_until, machine.retry_at, powerwatch.deadline(machine)]
    return min((at for at in instants if at is not None), default=None)


def _next_judgement_at(now: float) -> float:
    """The same instant for all hosts that are silent together, so that one pass judges them."""
    return (now // JUDGE_EVERY_S + 1) * JUDGE_EVERY_S


def _forget_what_is_over(machine: Machine, now: float) -> None:
    if machine.quiet_until is not None and now >= machine.quiet_until:
        machine.quiet_until = None
    if machine.retry_at is not None and now >= machine.retry_at:
        machine.retry_at = None


def _judge(site: Site, machine: Machine, now: float) -> None:
    """Show every hold of a silent host; open an operation when there is none."""
    operation = machine.operation
    if operation is not None and operation.phase is Phase.LOOK:
        return  # what the last look found stays shown
    automatic = operation is not None and operation.cause is Cause.AUTOMATIC
    if not machine.silent or automatic or machine.gone:
        _show_holds(site, machine, (), now)
        return
    verdicts = _verdicts(site, machine, now)
    _show_holds(site, machine, verdicts, now)
    no_way = [v.reason for v in verdicts if v.name in (HoldName.UNPROTECTED, HoldName.BACKOFF)]
    if no_way and machine.maintenance is None:
        upkeep.alert(site, machine, Alert.UNFENCED, no_way[0], now)
    if not verdicts:
        reason = f"silent for {now - _base_at(machine, now):.0f} s, beyond its grace"
        operate.open_operation(
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
