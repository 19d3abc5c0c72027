"""
An operation as plain JSON values, and back again after a restart.

The document holds the last journalled *step*: what was sent, what was proven,
and which executions may still be running.  Secrets and definitions stay in
the inventory: an operation is continued with the host as it is defined now,
and finds its agents by what they switch, whatever they are called by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pmwatchd.core import stage as stages
from pmwatchd.core.model import FenceAction, Host, Outcome
from pmwatchd.core.operation import Cancelled, Operation, Phase, Vouched
from pmwatchd.core.orders import SaveOperation


def document(operation: Operation) -> dict[str, object]:
    """
    Return where an operation stands.

    Outstanding executions are written with the seconds after which they are
    certainly over: a later start may have other limits.
    """
    stage = operation.stage
    members = stage.members if stage else ()
    status = FenceAction.STATUS
    running = [
        (m, stage.action if m.step is stages.Step.COMMANDED and stage else status)
        for m in members
        if m.step in stages.OUTSTANDING
    ]
    outlets = operation.host.outlets
    return {
        "phase": operation.phase,
        "group": operation.group,
        "turn": operation.turn,
        "outstanding": operation.inherited
        if operation.phase is Phase.BLOCKED
        else {
            member.agent.name: {
                "action": str(action),
                "device": member.agent.device,
                "outlet": member.agent.outlet,
                "over_s": member.over_s,
            }
            for member, action in running
        },
        "switched": sorted(outlets(operation.sent_off)),
        "vain": sorted(outlets(operation.vain)),
        "ordered_on": sorted(outlets(operation.sent_on)),
        "owed": sorted(outlets(operation.owed)),
        "vouched": [word.by, word.reason] if (word := operation.vouched) else None,
        "word_only": operation.word_only,
        "completes": operation.completes,
        "cancelled": _word(operation.cancelled),
        "proven_off": operation.proven_off_at is not None,
        "proven_on": operation.proven_on_at is not None,
        "restoring": operation.restoring,
        "retries": operation.retries,
    }


def _word(cancelled: Cancelled | None) -> list[str] | None:
    """Keep a person's word; our own is found anew, should the host still be silent."""
    return None if cancelled is None or cancelled.to_fence else [cancelled.by, cancelled.reason]


def save(operation: Operation) -> SaveOperation:
    """Return the durable order for an operation as it stands."""
    return SaveOperation(
        id=operation.id,
        host=operation.host.name,
        action=operation.action,
        cause=operation.cause,
        reason=operation.reason,
        by=operation.by,
        outcome=operation.outcome,
        document=document(operation),
    )


def resume(saved: SaveOperation, host: Host, now: float) -> Operation:
    """
    Return the operation to be continued with *host*.

    An intent without a result blocks its device for a full execution time
    counted from this start; all of the operation waits for that.
    """
    step = saved.document
    vouched, cancelled = step.get("vouched"), step.get("cancelled")
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
        until_at=now + max((one.over_s for one in outstanding(saved)), default=0.0),
        switched=host.named(_words(step.get("switched"))),
        vain=host.named(_words(step.get("vain"))),
        ordered_on=host.named(_words(step.get("ordered_on"))),
        owed=host.named(_words(step.get("owed"))),
        vouched=Vouched(*map(str, vouched)) if isinstance(vouched, list) else None,
        word_only=bool(step.get("word_only")),
        completes=bool(step.get("completes")),
        cancelled=Cancelled(str(cancelled[0]), str(cancelled[1]))
        if isinstance(cancelled, list)
        else None,
        proven_off_at=now if step.get("proven_off") else None,
        proven_on_at=now if step.get("proven_on") else None,
        restoring=None if restoring is None else Outcome(str(restoring)),
        retries=_number(step.get("retries")),
        resumed=True,
        inherited=_mapping(step.get("outstanding")),
    )


def unknown(saved: SaveOperation, host: Host) -> frozenset[str]:
    """Return what was switched off and no agent of now switches."""
    off = switched_off(saved)
    return off - host.outlets(host.named(off))


def switched_off(saved: SaveOperation) -> frozenset[str]:
    """Return the outlets that it, or an operation before it, switched off."""
    return _words(saved.document.get("switched")) | _words(saved.document.get("owed"))


def needs_agents(saved: SaveOperation) -> bool:
    """Whether nobody can carry it on without agents; a person's word alone needs none."""
    return not saved.document.get("word_only")


@dataclass(frozen=True, slots=True)
class Running:
    """
    An execution of a former start that may still run.

    Attributes:
        device: Where, as it was called then.
        outlet: What it switches; an agent of now may call that device otherwise.
        over_s: So long after a start it is certainly over.
    """

    device: str
    outlet: str
    over_s: float


def outstanding(saved: SaveOperation) -> list[Running]:
    """Return the executions that may still be running."""
    running = map(_mapping, _mapping(saved.document.get("outstanding")).values())
    return [
        Running(str(one.get("device", "")), str(one.get("outlet", "")), _seconds(one.get("over_s")))
        for one in running
    ]


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _words(value: object) -> frozenset[str]:
    return frozenset(map(str, value)) if isinstance(value, list | tuple) else frozenset()


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
