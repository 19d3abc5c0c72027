"""
What happens to one machine: heard, missed, held, fenced, back.

Joins the two state machines (:mod:`~pmwatchd.core.watch` and
:mod:`~pmwatchd.core.fence`) with the holds of one machine.  Every function
takes the site, the machine and the instant, changes the machine, and leaves
its orders at the site.
"""

from __future__ import annotations

from pmwatchd.core import (
    consult,
    deafness,
    dumping,
    fence,
    judgement,
    operate,
    opinion,
    powerwatch,
    sitewatch,
    soft,
    upkeep,
    weakness,
)
from pmwatchd.core import watch as watching
from pmwatchd.core.events import (
    Answered,
    DeadlineReached,
    HostProbed,
    ObserverPaused,
    Silent,
    Unheard,
)
from pmwatchd.core.holds import Verdict
from pmwatchd.core.machine import Machine
from pmwatchd.core.model import Alert, Cause, HoldName, Host, ProbeResult
from pmwatchd.core.operation import Doubted, Looked, Operation, Phase, Recovered
from pmwatchd.core.site import Site

Sign = Answered | Silent | Unheard | ObserverPaused

JUDGE_EVERY_S = 1.0
"""A host that stays silent is judged again at least so often."""


def sensed(site: Site, machine: Machine, sign: Sign, now: float) -> None:
    """Take in a sign of life, or of silence."""
    if isinstance(sign, Unheard):
        deafness.began(site, machine, sign, now)
    elif not isinstance(sign, ObserverPaused):
        machine.unanswered, machine.told_at = isinstance(sign, Silent), now
        deafness.ended(site, machine)
    if isinstance(sign, Silent) and _boots_unheard(site, machine):
        return
    if isinstance(sign, Answered):
        machine.last_answer_at = sign.at
        machine.seen = True
        machine.fingerprint = machine.host.fingerprint
    elif isinstance(sign, Silent) and sign.last_answer_at is not None:
        machine.last_answer_at = max(machine.heard_at, sign.last_answer_at)
    upkeep.enter(site, machine, watching.step(machine.host, machine.watch, sign, now), now)
    if watching.never_answered(machine.host, machine.watch, now):
        reason = "it has not answered at its present address with its present probes"
        upkeep.alert(site, machine, Alert.UNFENCED, reason, now)
    if isinstance(sign, Answered):
        machine.failures, machine.retry_at, machine.left_off = 0, None, False
        machine.inquiry, machine.spared = opinion.forget(machine.inquiry), False
        dumping.answered(site, machine, now)
        soft.forget(site, machine)
        upkeep.clear(site, machine, Alert.UNFENCED, Alert.LEFT_OFF, Alert.PARTITIONED)
        weakness.heard(site, machine, sign, now)
        if machine.operation is not None:
            operate.fence_step(site, machine, Recovered(sign.at), now)


def probed(site: Site, machine: Machine, event: HostProbed, now: float) -> None:
    """Take in a fresh heartbeat; an answer to it counts as any."""
    operation = machine.operation
    if operation is not None:
        asked = machine.probed or operation.host
        overheard(site, machine, event, now, asked=asked, alive_at=now)
        operation = machine.operation
    if event.result is ProbeResult.LOCAL_FAULT:
        machine.blind_at = now
    if operation is None:
        return
    if event.turn == operation.doubt:
        operate.fence_step(site, machine, Doubted(event.turn, event.result), now)
    elif operation.phase is Phase.LOOK and event.turn == operation.turn:
        _looked(site, machine, operation, event, now)


def overheard(
    site: Site, machine: Machine, event: HostProbed, now: float, *, asked: Host, alive_at: float
) -> None:
    """
    Take in an answer to a fresh heartbeat, unless another address was asked meanwhile.

    Args:
        asked: The host as it was asked.
        alive_at: When it answered or, where that is not known, when it was asked.
    """
    if event.result is ProbeResult.ALIVE and asked.fingerprint == machine.host.fingerprint:
        sensed(site, machine, Answered(machine.name, alive_at, weak=None), now)


def _looked(
    site: Site, machine: Machine, operation: Operation, event: HostProbed, now: float
) -> None:
    """Judge everything again for the last look before an ``off``, and show what stops it."""
    if operation.cause is Cause.PERSON or operation.vouched is not None:
        verdicts, unsure = _against_a_word(machine, now), False
    else:
        verdicts, unsure = _against_fencing(site, machine, operation.looked_at, now)
    judgement.show(site, machine, verdicts, now)
    lasting = any(verdict.until_at is None for verdict in verdicts)
    held = tuple(f"{verdict.name}: {verdict.reason}" for verdict in verdicts)
    looked = Looked(event.turn, event.result, held, lasting, unsure)
    operate.fence_step(site, machine, looked, now)


def _against_a_word(machine: Machine, now: float) -> tuple[Verdict, ...]:
    """Return what stops a person's ``off``: no hold, but a host that may yet answer."""
    may_answer = not machine.silent and not isinstance(machine.watch, watching.Unknown)
    return (_not_silent(machine, now),) if may_answer else ()


def _against_fencing(
    site: Site, machine: Machine, looked_at: float, now: float
) -> tuple[tuple[Verdict, ...], bool]:
    """Return everything that stops an automatic ``off``, and whether others are still asked."""
    sitewatch.judge_storms(site, now)  # who fell silent in this pass counts already
    verdicts = judgement.passive(site, machine, now) + consult.verdicts(site, machine, now)
    if not machine.host.automatic:
        verdicts = (*verdicts, judgement.SHADOWED)
    verdicts = (*verdicts, *judgement.crowded(site, machine, now))
    if not machine.silent:
        verdicts = (*verdicts, _not_silent(machine, now))
    if consult.unsure(machine, looked_at):
        consult.ask(site, machine, now)
    # a fault of our own may have hidden more than this look: the next heartbeat tells how much
    blind = machine.told_at < machine.blind_at
    return verdicts, blind or consult.unsure(machine, looked_at)


def _not_silent(machine: Machine, now: float) -> Verdict:
    """Hold a host that is within its grace, which time ends, or that nobody listens to."""
    unheard = machine.gone or isinstance(machine.watch, watching.Unknown)
    ends_at = None if unheard else now
    return Verdict(HoldName.LAST_LOOK, f"the host is {watching.liveness(machine.watch)}", ends_at)


def attend(site: Site, machine: Machine, now: float) -> None:
    """Let time pass: the watch, the maintenance, the operation, the holds, the readings."""
    if not _boots_unheard(site, machine):
        watch = watching.step(machine.host, machine.watch, DeadlineReached(), now)
        upkeep.enter(site, machine, watch, now)
    keeper = machine.maintenance
    announce = keeper and keeper.announce_at is not None and not keeper.announced
    if keeper and announce and now >= (keeper.announce_at or 0.0):
        upkeep.announce_end(site, machine, keeper)
    if keeper and keeper.until_at is not None and now >= keeper.until_at:
        upkeep.end_maintenance(site, machine, by="pmwatchd", reason="its time is over", now=now)
    _forget_what_is_over(site, machine, now)
    if machine.operation is not None:
        due_at = fence.deadline(machine.operation, site.rules.fencing)
        if due_at is not None and now >= due_at:
            operate.fence_step(site, machine, DeadlineReached(), now)
    dumping.attend(site, machine, now)
    weakness.attend(site, machine, now)
    deafness.attend(site, machine)
    judgement.judge(site, machine, now)
    powerwatch.attend(site, machine, now)


def deadline(site: Site, machine: Machine, now: float) -> float | None:
    """When :func:`attend` has something to do for this machine."""
    instants: list[float | None] = []
    if not _boots_unheard(site, machine):
        instants.append(watching.deadline(machine.host, machine.watch))
    operation = machine.operation
    if operation is not None:
        instants.append(fence.deadline(operation, site.rules.fencing))
    judged = machine.silent or _is_asked_about(site, machine)
    if judged and (operation is None or operation.yields):
        instants.append(_next_judgement_at(now))
    if machine.maintenance is not None:
        keeper = machine.maintenance
        instants += [keeper.until_at, None if keeper.announced else keeper.announce_at]
    instants += [machine.quiet_until, machine.retry_at, powerwatch.deadline(machine)]
    instants += [dumping.deadline(site, machine), weakness.deadline(machine)]
    instants.append(_loop_ends_at(site, machine))
    return min((at for at in instants if at is not None), default=None)


def _boots_unheard(site: Site, machine: Machine) -> bool:
    """A boot that nobody could hear the end of has the time of that besides its own."""
    return site.observer.cut_off_at is not None and isinstance(machine.watch, watching.Booting)


def _next_judgement_at(now: float) -> float:
    """The same instant for all hosts that are silent together, so that one pass judges them."""
    return (now // JUDGE_EVERY_S + 1) * JUDGE_EVERY_S


def _forget_what_is_over(site: Site, machine: Machine, now: float) -> None:
    if machine.quiet_until is not None and now >= machine.quiet_until:
        machine.quiet_until = None
    if machine.retry_at is not None and now >= machine.retry_at:
        machine.retry_at = None
    ends_at = _loop_ends_at(site, machine)
    if ends_at is not None and now >= ends_at:
        machine.fenced = 0


def _is_asked_about(site: Site, machine: Machine) -> bool:
    """Whether others are asked about it before its grace ends."""
    asks = site.rules.safety.witnesses > 0 or machine.host.alive_check is not None
    return asks and isinstance(machine.watch, watching.Connecting) and machine.watch.failures > 0


def _loop_ends_at(site: Site, machine: Machine) -> float | None:
    """When a host has been up for so long that what happened before does not count."""
    if not machine.fenced or machine.parked or not isinstance(machine.watch, watching.Up):
        return None
    return machine.watch.since_at + site.rules.safety.loop_window_s
