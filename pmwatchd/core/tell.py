"""
What an operation orders and tells: records in the names of the log contract.

No sentence is made here; :mod:`pmwatchd.observe.messages` does that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pmwatchd.core.events import AgentReplied
from pmwatchd.core.model import AgentResult, FenceAction, Host, ProxyResult
from pmwatchd.core.operation import Operation
from pmwatchd.core.orders import Order, Record, RunAgent, Value
from pmwatchd.core.stage import Member, Stage, Step, Wish


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
    yield RunAgent(
        host=operation.host.name,
        operation=operation.id,
        turn=member.turn,
        agent=member.agent,
        action=action,
        without=member.lost if command else frozenset(),
    )


def _attempt(operation: Operation, member: Member) -> int:
    return max(member.attempt, operation.stage.attempt if operation.stage else 1)


def reply(host: Host, operation: str | None, event: AgentReplied) -> tuple[Record, ...]:
    """Tell how each proxy did, and then what the agent said."""
    answer = event.reply
    about: dict[str, Value] = {"agent": event.agent, "action": event.action}
    told = [
        Record(
            event="fence.proxy_failed",
            host=host.name,
            operation=operation,
            fields={
                **about,
                "proxy": attempt.proxy,
                "source": attempt.source,
                "result": attempt.result,
                "reason": attempt.reason,
            },
        )
        for attempt in answer.tries
        if attempt.result is not ProxyResult.OK
    ]
    ran = answer.result is not AgentResult.NO_PROXY
    told.append(
        Record(
            event="fence.agent_executed" if ran else "fence.no_proxy",
            host=host.name,
            operation=operation,
            fields={**about, **(_executed(host, event) if ran else _not_executed(event))},
        )
    )
    return tuple(told)


def _executed(host: Host, event: AgentReplied) -> dict[str, Value]:
    answer = event.reply
    agents = host.power_management.agents
    agent = next((a for a in agents if a.name == event.agent), None)
    fields: dict[str, Value] = {
        "group": agent.order if agent else None,
        "type": agent.type if agent else None,
        "proxy": answer.proxy,
        "result": answer.result,
        "took_s": round(answer.took_s, 3),
        "exit_code": answer.exit_code,
    }
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
