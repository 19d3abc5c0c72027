"""
May this host be fenced now, and who is first?

A silent host is judged again and again: what forbids it by itself first, then
what others say, then what may still help without its power, then whose turn
it is.  Whatever stops it is shown by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pmwatchd.core import consult, deafness, dump, fence_end, holds, operate, soft, upkeep
from pmwatchd.core import watch as watching
from pmwatchd.core.budget import Rank
from pmwatchd.core.holds import Verdict
from pmwatchd.core.machine import Machine
from pmwatchd.core.model import Action, Alert, Cause, HoldName
from pmwatchd.core.operation import Cancelled, Operation, Phase
from pmwatchd.core.orders import Recall
from pmwatchd.core.site import Site
from pmwatchd.core.views import Hold

SHADOWED = Verdict(
    HoldName.SHADOW, "safety.automatic is false for it: it is judged, and nothing is done"
)

PRIORITY = "priority"
"""Label whose number puts a host before others; higher goes first."""

_AFTER_OTHERS = (
    HoldName.SEEN_BY_OTHERS,
    HoldName.ALIVE_CHECK,
    HoldName.BUDGET,
    HoldName.SHADOW,
)
_NO_WAY = (HoldName.UNPROTECTED, HoldName.BACKOFF)


def judge(site: Site, machine: Machine, now: float) -> None:
    """Show every hold of a silent host; let it queue for its turn when there is none."""
    operation = machine.operation
    site.wanting.pop(machine.name, None)
    if operation is not None and operation.phase is Phase.LOOK:
        return  # what the last look found stays shown
    treated = operation is not None and _treats(operation)
    if not machine.silent or treated or machine.gone:
        known = treated or machine.gone
        show(site, machine, () if known else tuple(deafness.verdicts(machine)), now)
        if isinstance(machine.watch, watching.Connecting) and not treated:
            consult.ask(site, machine, now)  # so that it is known when its grace ends
        return
    verdicts = passive(site, machine, now)
    if not verdicts or HoldName.OBSERVER_ILL in {verdict.name for verdict in verdicts}:
        consult.ask(site, machine, now)  # a witness that can be asked shows that we are well
    if verdicts:
        consult.fade(site, machine, now)
    else:
        verdicts = consult.verdicts(site, machine, now)
    if verdicts:
        show(site, machine, verdicts, now)
        _tell_unfenced(site, machine, verdicts, now)
    elif consult.unsure(machine, now) or (operation is None and soft.delays(site, machine, now)):
        _keep(site, machine, now)
    elif machine.host.automatic:
        site.wanting[machine.name] = _rank(machine)
    else:
        _spare(site, machine, now)


def _treats(operation: Operation) -> bool:
    """Whether it is what has to be done about a silent host, or is ended for that by now."""
    ends = operation.cancelled is not None
    return operation.cause is Cause.AUTOMATIC and (ends or not operation.yields)


def _keep(site: Site, machine: Machine, now: float) -> None:
    """While others are asked, what they said and what is judged after them stays shown."""
    kept = tuple(
        Verdict(hold.name, hold.reason, hold.until_at)
        for hold in machine.holds.values()
        if hold.name in _AFTER_OTHERS
    )
    show(site, machine, kept, now)


def passive(site: Site, machine: Machine, now: float) -> tuple[Verdict, ...]:
    """Return what forbids fencing without asking anybody."""
    about = site.circumstances(machine)
    return holds.in_order([*holds.judge(about, now), *_of_the_site(site, machine, now)])


def grant(site: Site, machine_of: Callable[[str], Machine], now: float) -> None:
    """Share out the slots among all hosts that nothing else holds."""
    taken = len(site.fencing)
    first, waiting = site.budget.share_out(site.wanting.values(), taken, site.rules.safety, now)
    for name in first:
        machine = machine_of(name)
        if verdicts := passive(site, machine, now):  # since it was judged
            show(site, machine, verdicts, now)
        else:
            _begin(site, machine, now)
    for one in waiting:
        verdict = Verdict(HoldName.BUDGET, one.reason, one.until_at)
        show(site, machine_of(one.name), (verdict,), now)


def recall(site: Site, machine: Machine, now: float) -> None:
    """Take back an automatic ``off`` that no agent was told yet, once it may not be sent."""
    operation = machine.operation
    if operation is None or operation.brings_back or not fence_end.commanded(operation):
        return
    held = {verdict.name for verdict in passive(site, machine, now)}
    if machine.gone or not machine.silent or held - {HoldName.JOURNAL_UNWRITABLE}:
        site.orders.append(Recall(operation=operation.id))


def crowded(site: Site, machine: Machine, now: float) -> Iterator[Verdict]:
    """Hold a continued operation that would be one too many: it has waited without a slot."""
    others = len(site.fencing - {machine.name})
    continued = machine.operation is not None and machine.operation.resumed
    if continued and others >= site.rules.safety.max_concurrent:
        yield Verdict(HoldName.BUDGET, f"{others} hosts are being fenced", now)


def show(site: Site, machine: Machine, verdicts: tuple[Verdict, ...], now: float) -> None:
    """Tell the beginning and the end of holds; a reason may change while one lasts."""
    names = {verdict.name for verdict in verdicts}
    for name in [name for name in machine.holds if name not in names]:
        del machine.holds[name]
        site.tell("hold.ended", machine, hold=name)
    for verdict in verdicts:
        known = machine.holds.get(verdict.name)
        if known is None:
            site.tell("hold.began", machine, hold=verdict.name, reason=verdict.reason)
        since_at = now if known is None else known.since_at
        machine.holds[verdict.name] = Hold(
            name=verdict.name,
            since_at=since_at,
            reason=verdict.reason,
            until_at=verdict.until_at,
        )


def _of_the_site(site: Site, machine: Machine, now: float) -> Iterator[Verdict]:
    if (pause := site.pause) is not None:
        yield Verdict(HoldName.PAUSED, f"paused by {pause.by}: {pause.reason}", pause.until_at)
    host = machine.host
    ill = site.observer.complaint(now) or site.observer.ill or _isolated(site, machine, now)
    if ill:
        yield Verdict(HoldName.OBSERVER_ILL, ill)
    else:
        yield from deafness.verdicts(machine)
    if site.override is None:
        for domain in site.census.domains(host):
            if (storm := site.storms.get(domain)) is not None:
                yield Verdict(HoldName.STORM, storm.reason, storm.until_at)
                break
    if host.power_management.kdump and site.rules.kdump.enabled:
        silent_at = machine.watch.since_at
        found = dump.verdict(machine.dump, machine.heard_at, silent_at, site.rules.kdump, now)
        if found is not None:
            yield found


def _isolated(site: Site, machine: Machine, now: float) -> str:
    """Return why nothing is known to answer since the silence began, or "" when something does."""
    # what the suspect has not answered twice by then has not failed on the way from here
    since_at = machine.silent_from + watching.PAUSE_INTERVALS * machine.host.heartbeat.interval_s
    others_up = site.others_heard(machine, since_at)
    return site.observer.isolated(now, machine.heard_at, others_up=others_up)


def _tell_unfenced(site: Site, machine: Machine, verdicts: tuple[Verdict, ...], now: float) -> None:
    no_way = [verdict.reason for verdict in verdicts if verdict.name in _NO_WAY]
    if no_way and machine.maintenance is None:
        upkeep.alert(site, machine, Alert.UNFENCED, no_way[0], now)


def _rank(machine: Machine) -> Rank:
    return Rank(
        lower_priority=-int(machine.host.labels.get(PRIORITY, 0)),
        failures=machine.failures,
        silent_since_at=machine.watch.since_at,
        name=machine.name,
    )


def _begin(site: Site, machine: Machine, now: float) -> None:
    del site.wanting[machine.name]
    show(site, machine, (), now)
    if machine.operation is not None:  # it only completes the power of this host
        ended = Cancelled("pmwatchd", "the host is silent, and is fenced instead", to_fence=True)
        operate.fence_step(site, machine, ended, now)
        return
    operate.open_operation(
        site,
        machine,
        Action.RESTART,
        Cause.AUTOMATIC,
        by="pmwatchd",
        reason=_reason(machine, now),
        now=now,
    )


def _spare(site: Site, machine: Machine, now: float) -> None:
    """Shadow mode: say, once per silence, what would have been done."""
    show(site, machine, (SHADOWED,), now)
    if not machine.spared:
        machine.spared = True
        site.tell("fence.would_have", machine, reason=_reason(machine, now))


def _reason(machine: Machine, now: float) -> str:
    watch = machine.watch
    silent_s = now - (watch.base_at if isinstance(watch, watching.NonResponsive) else now)
    return f"silent for {silent_s:.0f} s, beyond its grace"
