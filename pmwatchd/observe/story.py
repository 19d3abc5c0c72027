"""
The records of one story: what belongs to it, and what in it only repeats itself.

A host that is held for a day is asked about every few seconds.  What says the
same as before is counted, not kept, so a story stays readable and small.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pmwatchd.core.model import Action, Cause, FenceAction, Outcome
from pmwatchd.observe.lines import rfc3339
from pmwatchd.ports import Row

FIRST_KEPT = 500
LAST_KEPT = 1500
"""Of a longer story the middle is left out."""

_VOTES = ("witness.said", "alive.checked")
_READINGS = ("fence.agent_executed", "fence.proxy_failed", "fence.no_proxy")
_SILENCE = ("watch.grace_began", "watch.non_responsive")


@dataclass(slots=True)
class Scene:
    """A record, how often it was told in a row, and when for the last time."""

    row: Row
    last: Row
    times: int = 1


@dataclass(frozen=True, slots=True)
class Operation:
    """The operation that a story is about, as the journal has it."""

    id: str
    action: str
    cause: str
    opened_at: datetime
    outcome: str | None


class Story:
    """
    Takes records one after another and keeps those that belong to it.

    Args:
        of: The operation that it is about; None: it is about a host.
        anew: It begins again whenever the host answered.
    """

    def __init__(self, *, of: Operation | None = None, anew: bool = False) -> None:
        self.ended = False
        self.left_out = 0
        self._of = of
        self._anew = anew
        self._opened = self._closed = False
        self._first: list[Scene] = []
        self._last: deque[Scene] = deque(maxlen=LAST_KEPT)
        self._same: dict[object, tuple[object, Scene]] = {}

    def add(self, rows: Iterable[Row]) -> None:
        """Take in more records, ascending; what comes after its end is none of it."""
        for row in rows:
            if self.ended:
                return
            if self._of is None or self._belongs(self._of, row):
                self._keep(row)
            if self._anew and not self._opened and row["event"] == "watch.answered":
                self._forget()

    def scenes(self) -> tuple[Scene, ...]:
        """Return what is kept, ascending."""
        return (*self._first, *self._last)

    def _belongs(self, of: Operation, row: Row) -> bool:
        """Whether a record of the host is one of the operation, of what led to it or followed."""
        event, own = row["event"], row.get("operation") == of.id
        if own and event == "fence.opened":
            self._opened = True
        if self._closed:
            answered = event == "watch.answered"
            self.ended = answered or event == "fence.opened" or event in _SILENCE
            return answered
        if own and event == "fence.closed":
            self._closed = True
            back = of.action != Action.OFF and of.outcome in (Outcome.DONE, Outcome.DEGRADED)
            self.ended = not back
        if not self._opened and not own:
            return of.cause == Cause.AUTOMATIC and row.get("operation") is None
        return own or row.get("operation") is None

    def _keep(self, row: Row) -> None:
        found = _repeatable(row)
        if found is None:
            self._same.clear()  # what is told after it is told again
        else:
            who, said = found
            known = self._same.get(who)
            if known is not None and known[0] == said:
                known[1].last, known[1].times = row, known[1].times + 1
                return
        scene = Scene(row, row)
        if found is not None:
            self._same[found[0]] = (found[1], scene)
        if len(self._first) < FIRST_KEPT:
            self._first.append(scene)
            return
        self.left_out += len(self._last) == LAST_KEPT
        self._last.append(scene)

    def _forget(self) -> None:
        self._first.clear()
        self._last.clear()
        self._same.clear()
        self.left_out = 0


def _repeatable(row: Row) -> tuple[object, object] | None:
    """Who said it and what, for records that may only say the same again; else None."""
    event = row["event"]
    if event in _VOTES:
        return (event, row.get("proxy")), row.get("result")
    if event in _READINGS and row.get("action") == FenceAction.STATUS:
        said = (event, row.get("proxy"), row.get("result"), row.get("power"))
        return ("agent", row.get("agent")), said
    return None


def at(row: Mapping[str, object]) -> datetime:
    """When a record was told."""
    return instant(row["at"])


def instant(value: object) -> datetime:
    """Read an instant of the journal."""
    return datetime.fromisoformat(rfc3339(value) or "").astimezone(UTC)


def operation_of(row: Row) -> Operation:
    """Read the journal's row of an operation."""
    outcome = row.get("outcome")
    return Operation(
        id=str(row["id"]),
        action=str(row["action"]),
        cause=str(row["cause"]),
        opened_at=instant(row["opened_at"]),
        outcome=None if outcome is None else str(outcome),
    )


def votes(scenes: Iterable[Scene]) -> Iterator[Scene]:
    """Yield what witnesses and the alive check said."""
    return (scene for scene in scenes if scene.row["event"] in _VOTES)


def executions(scenes: Iterable[Scene]) -> Iterator[Scene]:
    """Yield what was asked of agents, and what became of it."""
    return (scene for scene in scenes if scene.row["event"] in _READINGS)
