"""
One record as plain JSON values: the same for the log, the event stream and the history.

Order of the keys: ``timestamp, level, event, message, sequence, host,
operation``, then the record's own fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from pmwatchd.core.orders import Told
from pmwatchd.observe.messages import message_of
from pmwatchd.ports import Row

INSTANTS = frozenset({"until"})
"""Fields that are instants; the journal keeps them as text, with or without microseconds."""

NAMED = frozenset({"timestamp", "level", "event", "message", "sequence", "at", "host", "operation"})


def line_of(told: Told) -> dict[str, object]:
    """A record that was told just now."""
    record = told.record
    return _line(
        event=record.event,
        at=told.at,
        sequence=told.sequence,
        host=record.host,
        operation=record.operation,
        fields=record.fields,
    )


def line_of_row(row: Row) -> dict[str, object]:
    """The same record read back from the journal."""
    return _line(
        event=str(row["event"]),
        at=row["at"],
        sequence=row["sequence"],
        host=row.get("host"),
        operation=row.get("operation"),
        fields=row,
    )


def rfc3339(at: object) -> str | None:
    """A wall-clock instant in UTC with milliseconds; text that is no instant stays as it is."""
    if at is None:
        return None
    if isinstance(at, (int, float)):
        moment = datetime.fromtimestamp(at, UTC)
    elif isinstance(at, datetime):
        moment = at
    else:
        try:
            moment = datetime.fromisoformat(str(at))
        except ValueError:
            return str(at)
    # a journal without an offset speaks UTC
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _line(
    *,
    event: str,
    at: object,
    sequence: object,
    host: object,
    operation: object,
    fields: Mapping[str, object],
) -> dict[str, object]:
    message = message_of(event)
    fields = {n: rfc3339(value) if n in INSTANTS else value for n, value in fields.items()}
    line: dict[str, object] = {
        "timestamp": rfc3339(at),
        "level": message.level.value,
        "event": event,
        "message": message.render({**fields, "host": host, "operation": operation}),
    }
    places = {"sequence": sequence, "host": host, "operation": operation}
    line |= {name: value for name, value in places.items() if value is not None}
    line |= {
        name: value for name, value in fields.items() if name not in NAMED and value is not None
    }
    return line
