"""
What an operation orders and tells: records in the names of the log contract.

No sentence is made here; :mod:`pmwatchd.observe.messages` does that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pmwatchd.core.events import AgentReplied
from pmwatchd.core.model import (
    AgentResult,
    Cause,
    FenceAction,
    Heartbeat,
    Host,
    ProxyResult,
    Try,
)
from pmwatchd.core.operation import Operation
from pmwatchd.core.orders import Order, Record, RunAgent, Value
from pmwatchd.core.stage import Member, Stage, Step, Wish

LOOK_GOOD_FOR_S = 10.0
"""An ``off`` that had to wait longer than this since its last look is not sent."""

ACT_WITHIN_S = 5.0
"""Where the heartbeat of a last look takes long, there is at least so much time after it."""


def orders(operation: Operation, wishes: Sequence[Wish]) -> tuple[Order, ...]:
    """Turn wishes into orders, every command announced by a record of the intent."""
    return tuple(order for wish in wishes for order in _orders(operation, wish))


def _orders(operation: Operation, wish: Wish) -> Iterator[Order]:
    member, action = wish.member, wish.action
    command = action is not FenceAction.STATUS
    if command:
        yield record(
            operation,
            "fence.intended",
            group=member.agent.order,
            agent=member.agent.name,
            action=action,
            turn=member.turn,
            attempt=_attempt(operation, member),
        )
    automatic_off = action is FenceAction.OFF and operation.cause is Cause.AUTOMATIC
    yield RunAgent(
        host=operation.host.name,
        operation=operation.id,
        turn=member.turn,
        agent=member.agent,
        action=action,
        looked_at=wish.looked_at if automatic_off else None,
        look_good_for_s=_look_good_for_s(operation.host.heartbeat),
        without=member.lost if command else frozenset(),
        brief=member.step is Step.CHECKING
        and operation.stage is not None
        and not operation.stage.last,
    )


def _look_good_for_s(heartbeat: Heartbeat) -> float:
    """How long after a last look was ordered its ``off`` may begin; a silent one takes a while."""
    return max(LOOK_GOOD_FOR_S, heartbeat.timeout_s + ACT_WITHIN_S)


def _attempt(operation: Operation, member: Member) -> int:
    return max(member.attempt, operation.stage.attempt if operation.stage else 1)


def reply(host: Host, operation: str | None, event: AgentReplied) -> tuple[Record, ...]:
    """Tell how each proxy did, and what the agent said at each where it ran."""
    answer = event.reply
    told = [_tell_try(host, operation, event, attempt) for attempt in answer.tries[:-1]]
    if answer.result is AgentResult.NO_PROXY:
        told += [_tell_try(host, operation, event, attempt) for attempt in answer.tries[-1:]]
        fields = _about(event) | _not_executed(event)
        told.append(
            Record(event="fence.no_proxy", host=host.name, operation=operation, fields=fields)
        )
        return tuple(told)
    ran = answer.proxy is not None and answer.tries[-1].result is ProxyResult.OK
    if not ran:
        told += [_tell_try(host, operation, event, attempt) for attempt in answer.tries[-1:]]
    fields = _about(event) | _executed(host, event)
    told.append(
        Record(event="fence.agent_executed", host=host.name, operation=operation, fields=fields)
    )
    return tuple(told)


def _about(event: AgentReplied) -> dict[str, Value]:
    return {"agent": event.agent, "action": event.action}


def _tell_try(host: Host, operation: str | None, event: AgentReplied, attempt: Try) -> Record:
    fields = _about(event) | {"proxy": attempt.proxy, "reason": attempt.reason}
    if attempt.result is ProxyResult.OK:
        fields |= _placed(host, event) | {"result": attempt.answer}
        name = "fence.agent_executed"
    else:
        fields |= {"source": attempt.source, "result": attempt.result}
        name = "fence.proxy_failed"
    return Record(event=name, host=host.name, operation=operation, fields=fields)


def _placed(host: Host, event: AgentReplied) -> dict[str, Value]:
    agents = host.power_management.agents
    agent = next((a for a in agents if a.name == event.agent), None)
    return {"group": agent.order if agent else None, "type": agent.type if agent else None}


def _executed(host: Host, event: AgentReplied) -> dict[str, Value]:
    answer = event.reply
    fields: dict[str, Value] = _placed(host, event) | {
        "proxy": answer.proxy,
        "result": answer.result,
        "took_s": round(answer.took_s, 3),
        "exit_code": answer.exit_code,
    }
    if answer.tries and answer.tries[-1].result is ProxyResult.LOST:
        fields["proxy_result"] = ProxyResult.LOST
    if event.action is FenceAction.STATUS:
        fields["power"] = answer.power
    if answer.result is not AgentResult.OK:
        fields["reason"] = answer.text
    return fields


def _not_executed(event: AgentReplied) -> dict[str, Value]:
    tries = event.reply.tries
    tried = tuple(f"{t.proxy} ({t.source}): {t.reason or t.result}" for t in tries)
    return {"tried": tried, "reason": "; ".join(tried) or "no proxy is eligible"}


def record(operation: Operation, event: str, **fields: Value) -> Record:
    """Tell something of an operation."""
    return Record(event=event, host=operation.host.name, operation=operation.id, fields=fields)


def order_of(operation: Operation, group: int) -> int:
    """Return the ``order`` by which an operator knows a group."""
    return operation.host.groups[group][0].order


def reasons(stage: Stage) -> str:
    """Return why a stage failed, agent by agent."""
    failed = [m for m in stage.members if m.step is Step.FAILED]
    return "; ".join(f"{m.agent.name}: {m.reason}" for m in failed)
