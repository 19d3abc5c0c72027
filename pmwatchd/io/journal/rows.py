"""From values to columns of the journal and back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime

from pmwatchd.core.model import Action, Cause
from pmwatchd.core.orders import SaveHost, SaveOperation, SaveSite, Told
from pmwatchd.ports import Row

Columns = dict[str, str | int | float | None]


def stamp(at: datetime) -> str:
    """
    A wall-clock time as RFC 3339 text in UTC; such texts sort as their times do.

    Raises:
        ValueError: *at* has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError("a wall-clock time needs a time zone")
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def of_record(told: Told, at: datetime) -> Columns:
    """The row of a record; its ``sequence`` is the one that the engine gave."""
    record = told.record
    return {
        "sequence": told.sequence,
        "at": stamp(at),
        "event": record.event,
        "host": _text(record.host),
        "operation": _text(record.operation),
        "fields": _json(record.fields),
    }


def of_operation(operation: SaveOperation, at: datetime) -> Columns:
    """The row of an operation that is saved at *at*."""
    return {
        "id": operation.id,
        "host": operation.host,
        "action": operation.action.value,
        "cause": operation.cause.value,
        "reason": _text(operation.reason),
        "by": _text(operation.by),
        "at": stamp(at),
        "outcome": operation.outcome.value if operation.outcome else None,
        "document": _json(operation.document),
    }


def of_host(host: SaveHost) -> Columns:
    """The row of a host."""
    return {
        "name": host.host,
        "fingerprint": host.fingerprint,
        "booting": int(host.booting),
        "dumped": int(host.dumped),
        "quiet": int(host.quiet),
        "failures": host.failures,
        "left_off": int(host.left_off),
        "missing": json.dumps(host.missing),
        "given_up": json.dumps(host.given_up),
        "miswired": _text(host.miswired),
        "reads_off": json.dumps(host.reads_off),
        "maintenance": int(host.maintenance),
        "maintenance_by": _text(host.maintenance_by),
        "maintenance_reason": _text(host.maintenance_reason),
        "expires_at": _stamped(host.expires_at),
        "maintenance_for_s": host.maintenance_for_s,
        "kept_off": int(host.kept_off),
        "fenced": host.fenced,
        "parked": int(host.parked),
        "soft_fenced": int(host.soft_fenced),
    }


def of_site(site: SaveSite) -> Columns:
    """The one row of what holds for the whole site."""
    return {
        "paused_until": _stamped(site.paused_until),
        "paused_for_s": site.paused_for_s,
        "paused_by": _text(site.paused_by),
        "paused_reason": _text(site.paused_reason),
        "override_until": _stamped(site.override_until),
        "override_for_s": site.override_for_s,
        "override_by": _text(site.override_by),
        "override_reason": _text(site.override_reason),
    }


def to_record(row: sqlite3.Row) -> Row:
    """A record as it is shown: its own columns first, then its fields."""
    shown = {key: row[key] for key in ("sequence", "at", "event", "host", "operation")}
    return {**shown, **{k: v for k, v in json.loads(row["fields"]).items() if k not in shown}}


def to_operation(row: sqlite3.Row) -> SaveOperation:
    """An open operation as it was saved last."""
    return SaveOperation(
        id=row["id"],
        host=row["host"],
        action=Action(row["action"]),
        cause=Cause(row["cause"]),
        reason=row["reason"],
        by=row["by"],
        outcome=None,
        document=json.loads(row["document"]),
    )


def to_host(row: sqlite3.Row) -> SaveHost:
    """What was saved of a host."""
    return SaveHost(
        host=row["name"],
        fingerprint=row["fingerprint"],
        booting=bool(row["booting"]),
        dumped=bool(row["dumped"]),
        quiet=bool(row["quiet"]),
        failures=row["failures"],
        left_off=bool(row["left_off"]),
        missing=tuple(json.loads(row["missing"])),
        given_up=tuple(json.loads(row["given_up"])),
        miswired=row["miswired"],
        reads_off=tuple(json.loads(row["reads_off"])),
        maintenance=bool(row["maintenance"]),
        maintenance_by=row["maintenance_by"],
        maintenance_reason=row["maintenance_reason"],
        expires_at=_instant(row["expires_at"]),
        maintenance_for_s=row["maintenance_for_s"],
        kept_off=bool(row["kept_off"]),
        fenced=row["fenced"],
        parked=bool(row["parked"]),
        soft_fenced=bool(row["soft_fenced"]),
    )


def to_site(row: sqlite3.Row) -> SaveSite:
    """What was saved of the whole site."""
    return SaveSite(
        paused_until=_instant(row["paused_until"]),
        paused_for_s=row["paused_for_s"],
        paused_by=row["paused_by"],
        paused_reason=row["paused_reason"],
        override_until=_instant(row["override_until"]),
        override_for_s=row["override_for_s"],
        override_by=row["override_by"],
        override_reason=row["override_reason"],
    )


def _stamped(at: datetime | None) -> str | None:
    return stamp(at) if at else None


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _json(values: Mapping[str, object]) -> str:
    """Raise TypeError for what is no JSON, so that a secret can not slip in as its text."""
    try:
        return json.dumps(dict(values), allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise TypeError(f"the journal keeps JSON values only: {error}") from error


def _text(words: str | None) -> str | None:
    """Words as UTF-8 can hold them: half a surrogate pair is spelled out."""
    return None if words is None else words.encode("utf-8", "backslashreplace").decode("utf-8")
