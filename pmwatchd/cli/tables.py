"""Plain text for people: aligned columns, ages, and colours where there is a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

_COLOURS = {
    "up": "green",
    "on": "green",
    "done": "green",
    "connecting": "yellow",
    "unknown": "yellow",
    "booting": "yellow",
    "powering_off": "yellow",
    "powering_on": "yellow",
    "degraded": "yellow",
    "warning": "yellow",
    "maintenance": "cyan",
    "off": "cyan",
    "non_responsive": "red",
    "failed": "red",
    "error": "red",
    "critical": "red",
}
_GAP = "  "


def painted(word: str, width: int = 0) -> str:
    """Give a status its colour, after filling it up to *width*."""
    colour = _COLOURS.get(word)
    filled = word.ljust(width)
    return click.style(filled, fg=colour) if colour else filled


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Align rows under their heads; an empty cell is shown as ``-``."""
    cells = [[cell or "-" for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    lines = [_GAP.join(head.ljust(width) for head, width in zip(heads, widths, strict=True))]
    lines += [
        _GAP.join(painted(cell, width) for cell, width in zip(row, widths, strict=True))
        for row in cells
    ]
    return "\n".join(line.rstrip() for line in lines)


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """Align values behind their names; what has no value is left out."""
    kept = [(name, value) for name, value in rows if value]
    width = max((len(name) for name, _ in kept), default=0)
    return "\n".join(f"{name.ljust(width)}{_GAP}{painted(value)}" for name, value in kept)


def age(at: str | None, *, now: datetime | None = None) -> str:
    """How long ago an instant was, short: ``42s``, ``3m 5s``, ``2h 10m``, ``4d 3h``."""
    if not at:
        return ""
    passed = (now or datetime.now(UTC)) - datetime.fromisoformat(at)
    return span(max(0.0, passed.total_seconds()))


def span(duration_s: float) -> str:
    """Write a duration with its two largest units."""
    minutes, seconds = divmod(round(duration_s), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")]
    first = next((place for place, (count, _) in enumerate(parts) if count), len(parts) - 1)
    shown = [f"{count}{unit}" for count, unit in parts[first : first + 2] if count]
    return " ".join(shown) or "0s"


def took(opened_at: str | None, closed_at: str | None) -> str:
    """How long something took that has ended."""
    if not opened_at or not closed_at:
        return ""
    ended = datetime.fromisoformat(closed_at) - datetime.fromisoformat(opened_at)
    return span(ended.total_seconds())


def clock(at: str | None) -> str:
    """Show an instant in local time, to the second."""
    if not at:
        return ""
    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def until(word: Mapping[str, Any]) -> str:
    """Show the end, the owner and the reason of something that a person set."""
    end = f"until {clock(word['until'])}" if word["until"] else "without end"
    by = f", by {word['by']}" if word["by"] else ""
    return f"{end}{by}: {word['reason'] or 'no reason given'}"


def document(value: Any) -> None:
    """Print the one JSON document of ``--json``."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def line(value: Any) -> None:
    """Print one line of a JSON stream at once."""
    click.echo(json.dumps(value, ensure_ascii=False))


def fault(file: str, key: str, reason: str, remedy: str) -> str:
    """Write one fault of a configuration: where, what is wrong, and below it what to do."""
    return f"{click.style(f'{file}: {key}', bold=True)}: {reason}\n    {remedy}"
