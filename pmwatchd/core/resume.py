"""
An operation as plain JSON values, and back again after a restart.

The document holds the last journalled *step*: what was sent, what was proven,
and which executions may still be running.  Secrets and definitions stay in
the inventory: an operation is continued with the host as it is defined now.
"""

from __future__ import annotations

from collections.abc import Mapping

from pmwatchd.core import stage as stages
from pmwatchd.core.model import FenceAction, FenceAgent, Host, Outcome
from pmwatchd.core.operation import Operation, Phase, Vouched
from pmwatchd.core.orders import SaveOperation
from pmwatchd.core.rules import Fencing


def document(operation: Operation, fencing: Fencing) -> dict[str, object]:
    """
    Return where an operation stands.

    Outstanding executions are written with the seconds after which they are
    certainly over: a later start may have other limits.
    """
    stage = operation.stage
    members = stage.members if stage else ()
    status = FenceAction.STATUS
    running = {
        m.agent.name: stage.action if m.step is stages.Step.COMMANDED and stage else status
        for m in members
        if m.step in stages.OUTSTANDING
    }
    return {
        "phase": operation.phase,
        "group": operation.group,
        "turn": operation.turn,
        "outstanding": {
            name: {"action": str(action), "over_s": fencing.over_s(action)}
            for name, action in sorted(running.items())
        },
        "switched": sorted(operation.sent_off),
        "owed": sorted(operation.owed),
        "vouched": [word.by, word.reason] if (word := operation.vouched) else None,
        "proven_off": operation.proven_off_at is not None,
        "proven_on": operation.proven_on_at is not None,
        "restoring": operation.restoring,
        "retries": operation.retries,
    }


def save(operation: Operation, fencing: Fencing) -> SaveOperation:
    """Return the durable order for an operation as it stands."""
    return SaveOperation(
        id=operation.id,
        host=operation.host.name,
        action=operation.action,
        cause=operation.cause,
        reason=operation.reason,
        by=operation.by,
        outcome=operation.outcome,
        document=document(operation, fencing),
    )


def resume(saved: SaveOperation, host: Host, now: float) -> Operation:
    """
    Return the operation to be continued with *host*.

    An intent without a result blocks its device for a full execution time
    counted from this start; all of the operation waits for that.
    """
    step = saved.document
    agents = {agent.name for agent in host.power_management.agents}
    vouched = step.get("vouched")
    restoring = step.get("restoring")
    return Operation(
        id=saved.id,
        host=host,
        action=saved.action,
        cause=saved.cause,
        by=saved.by,
        reason=saved.reason,
        opened_at=now,
        phase=Phase.BLOCKED,
        turn=_number(step.get("turn")),
        group=_number(step.get("group")),
        until_at=now + max(_over_s(step).values(), default=0.0),
        switched=_names(step.get("switched")) & agents,
        owed=_names(step.get("owed")) & agents,
        vouched=Vouched(*map(str, vouched)) if isinstance(vouched, list) else None,
        proven_off_at=now if step.get("proven_off") else None,
        proven_on_at=now if step.get("proven_on") else None,
        restoring=None if restoring is None else Outcome(str(restoring)),
        retries=_number(step.get("retries")),
        resumed=True,
    )


def outstanding(saved: SaveOperation, host: Host) -> list[tuple[FenceAgent, float]]:
    """Return the agents whose executions may still be running, and for how long at most."""
    over_s = _over_s(saved.document)
    agents = host.power_management.agents
    return [(agent, over_s[agent.name]) for agent in agents if agent.name in over_s]


def _over_s(step: Mapping[str, object]) -> dict[str, float]:
    running = _mapping(step.get("outstanding"))
    return {name: _seconds(_mapping(one).get("over_s")) for name, one in running.items()}


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _names(value: object) -> frozenset[str]:
    return frozenset(map(str, value)) if isinstance(value, list | tuple) else frozenset()


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
