"""What a client sent, read strictly: unknown names and wrong types are refused in words."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiohttp import web

from pmwatchd.api.problems import ProblemError
from pmwatchd.core.durations import parse

REASON_MAX = 500
DAY_S = 86400.0
SPAN_MAX_S = 3650 * DAY_S
PROMISE_MAX_S = 30 * DAY_S
"""A word for the whole site is never given for longer, so none can be forgotten."""
SEQUENCE_MAX = 2**63 - 1
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Body:
    """A JSON object whose keys are all known."""

    values: dict[str, object]

    def text(self, name: str, *, required: bool = False) -> str:
        """A short text without control characters, without outer blanks; "" when left out."""
        value = self.values.get(name)
        if value is None:
            value = ""
        if not isinstance(value, str):
            raise _wrong(name, "must be a text")
        value = value.strip()
        if required and not value:
            raise _wrong(name, "is needed")
        if len(value) > REASON_MAX or not (value.isprintable()):
            raise _wrong(name, f"must be one line of at most {REASON_MAX} characters")
        return value

    def flag(self, name: str) -> bool:
        """True or false; false when left out."""
        value = self.values.get(name, False)
        if not isinstance(value, bool):
            raise _wrong(name, "must be true or false")
        return value

    def span_s(self, name: str) -> float | None:
        """A duration above 0 and up to ten years in seconds, or None when left out."""
        value = self.values.get(name)
        if value is None:
            return None
        span_s = _seconds(name, value)
        if not 0 < span_s <= SPAN_MAX_S:
            raise _wrong(name, "must be a duration above 0 and up to 3650d")
        return span_s

    def end(self, now: datetime) -> tuple[float, datetime]:
        """
        When a word for the whole site ends: seconds from *now* on, and the instant.

        It is given once, as ``for`` (or ``for_s``) or as ``expires_at`` (RFC 3339, UTC
        unless it says so), and lies at most 30 days ahead.
        """
        given = [
            name for name in ("for", "for_s", "expires_at") if self.values.get(name) is not None
        ]
        if not given:
            raise _wrong("for", "or expires_at is needed: what a person sets must end by itself")
        if len(given) > 1:
            raise _wrong(" and ".join(given), "say the same: give one of them")
        [name] = given
        for_s = self._left_s(now) if name == "expires_at" else self.span_s(name) or 0.0
        if not 0 < for_s <= PROMISE_MAX_S:
            raise _wrong(name, "must lie ahead, and at most 30d")
        return for_s, now + timedelta(seconds=for_s)

    def _left_s(self, now: datetime) -> float:
        text = self.values["expires_at"]
        try:
            at = datetime.fromisoformat(text) if isinstance(text, str) else None
        except ValueError:
            at = None
        if at is None:
            raise _wrong("expires_at", 'must be an instant such as "2026-01-31T12:00:00Z"')
        return (_in_utc(at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()


async def body_of(request: web.Request, known: Collection[str]) -> Body:
    """
    The JSON object of a request; no body at all is an empty one.

    Raises:
        ProblemError: It is no JSON object (400), or has a key that is not known (422).
    """
    raw = await request.read()
    try:
        # a flood of brackets ends in a RecursionError
        values = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError) as error:
        raise ProblemError(400, "bad-json", "The body is not valid JSON.") from error
    if not isinstance(values, dict):
        raise ProblemError(400, "bad-json", "The body must be a JSON object.")
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ProblemError(
            422,
            "unknown-key",
            f"Not understood: {', '.join(unknown)[:REASON_MAX]}. Possible: {', '.join(known)}.",
        )
    return Body(values)


class Query:
    """
    The query of a request.

    Raises:
        ProblemError: A name is not known (400).
    """

    def __init__(self, request: web.Request, known: Collection[str]) -> None:
        self._query = request.query
        unknown = sorted(set(request.query) - set(known))
        if unknown:
            raise ProblemError(
                400,
                "unknown-parameter",
                f"Not understood: {', '.join(unknown)}. Possible: {', '.join(known) or 'none'}.",
            )

    def text(self, name: str) -> str | None:
        """A text, or None when it is left out or empty."""
        return self._query.get(name) or None

    def all(self, name: str) -> list[str]:
        """Every value of a name that may be repeated."""
        return [value for value in self._query.getall(name, []) if value]

    def number(self, name: str, *, default: int, least: int = 0, most: int = SEQUENCE_MAX) -> int:
        """A whole number between *least* and *most*."""
        text = self._query.get(name)
        if not text:
            return default
        # isdecimal alone would let other scripts' digits and endless numbers in
        if not (text.isascii() and text.isdecimal() and len(text) <= len(str(SEQUENCE_MAX))):
            raise _wrong(name, "must be a whole number", status=400)
        number = int(text)
        if not least <= number <= most:
            raise _wrong(name, f"must lie between {least} and {most}", status=400)
        return number

    def since(self, name: str, now: datetime) -> datetime | None:
        """A duration before *now* (``2h``), or an instant (RFC 3339, UTC unless it says so)."""
        text = self._query.get(name)
        if not text:
            return None
        try:
            # a plus in a query that was not escaped arrives as a blank
            at = datetime.fromisoformat(text.strip().replace(" ", "+"))
        except ValueError:
            span_s = _seconds(name, text, status=400)
            return now - timedelta(seconds=min(span_s, SPAN_MAX_S))
        return _in_utc(at if at.tzinfo else at.replace(tzinfo=now.tzinfo))


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:  # at either end of the calendar the offset leads out of it
        return FIRST if at.year == FIRST.year else LAST


def _seconds(name: str, value: object, *, status: int = 422) -> float:
    match value:
        case bool():
            pass
        case int() | float():
            return float(value) if abs(value) <= SPAN_MAX_S else math.inf
        case str():
            with suppress(ValueError):
                return parse(value)
    raise _wrong(name, 'must be a duration such as "90s" or "2h"', status=status)


def _wrong(name: str, what: str, *, status: int = 422) -> ProblemError:
    return ProblemError(status, "invalid", f"{name} {what}.")
