"""
Tells what happens, to people or to programs.

For people: one line each with the time since the beginning and who says so,
the iron beside the daemon, so that claim and fact can be compared.  For
programs: one JSON object per line, the last one with ``result``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol, TextIO

from pmwatchd.lab.chronicle import Happening, Source
from pmwatchd.lab.verdict import Verdict

_BOLD, _DIM, _RED, _GREEN, _YELLOW, _CYAN = "1", "2", "31", "32", "33", "36"
_COLOUR = {Source.LAB: _DIM, Source.IRON: _YELLOW, Source.DAEMON: _CYAN}
_LOUD = frozenset({"error", "critical"})
_OUR_OWN = frozenset({"timestamp", "level", "event", "message", "host"})


def _executed(line: Mapping[str, object]) -> str:
    power = f", power {line['power']}" if line.get("power") in ("on", "off") else ""
    words = f"asks {line.get('agent')} for {line.get('action')}: {line.get('result')}{power}"
    return f"{line.get('proxy') or 'no machine'} {words}"


def _opened(line: Mapping[str, object]) -> str:
    return f"decides: {line.get('action')} of {line.get('host')} ({line.get('operation')})"


def _proxy_failed(line: Mapping[str, object]) -> str:
    return f"{line.get('proxy')} cannot run {line.get('agent')} ({line.get('result')}); next one"


def _continued(line: Mapping[str, object]) -> str:
    return f"finds {line.get('operation')} of {line.get('host')} open in its journal, continues it"


def _closed(line: Mapping[str, object]) -> str:
    return f"{line.get('operation')} has ended: {line.get('outcome')}"


_WORDS: Mapping[str, Callable[[Mapping[str, object]], str]] = MappingProxyType(
    {
        "fence.agent_executed": _executed,
        "fence.opened": _opened,
        "fence.proxy_failed": _proxy_failed,
        "fence.continued": _continued,
        "fence.closed": _closed,
    }
)


class Story(Protocol):
    """One way to tell."""

    def begin(self, title: str, plot: str) -> None:
        """Say what is going to happen."""
        ...

    def happened(self, happening: Happening) -> None:
        """Tell one thing that happened."""
        ...

    def end(self, verdict: Verdict) -> None:
        """Say how it ended."""
        ...


class PlainStory:
    """For people; colours only on a terminal, and not with ``NO_COLOR``."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._colours = out.isatty() and not os.environ.get("NO_COLOR")

    def begin(self, title: str, plot: str) -> None:
        """The title and the plot."""
        self._say(f"\n{self._paint(title, _BOLD)}\n{plot}\n")

    def happened(self, happening: Happening) -> None:
        """One line."""
        if happening.level == "debug":
            return
        words = _WORDS.get(happening.event)
        message = happening.message if words is None else words(happening.fields)
        colour = _RED if happening.level in _LOUD else _COLOUR[happening.source]
        label = self._paint(f"{happening.source:<6}", colour)
        self._say(f"{happening.at_s:7.2f} s  {label}  {message}")

    def end(self, verdict: Verdict) -> None:
        """The iron's own record and the result."""
        self._say("\nWhat the power switches wrote down themselves:")
        for at_s, command in verdict.commands:
            self._say(f"{at_s:7.2f} s  {command.switch}  {command.action:<3}  by {command.by}")
        if not verdict.commands:
            self._say("           nothing: no power command reached any of them")
        word = self._paint("ok", _GREEN) if verdict.ok else self._paint("failed", _RED)
        self._say(f"\n{word}: {verdict.reason} ({verdict.took_s:.1f} s)")
        if verdict.kept is not None:
            self._say(f"Everything is kept in {verdict.kept}")

    def _say(self, text: str) -> None:
        print(text, file=self._out, flush=True)

    def _paint(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colours else text


class JsonStory:
    """For programs: JSON Lines."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def begin(self, title: str, plot: str) -> None:
        """The first object."""
        self._write({"event": "lab.began", "title": title, "message": plot})

    def happened(self, happening: Happening) -> None:
        """One object, with the fields of the daemon's own line."""
        if happening.level == "debug":
            return
        fields = {k: v for k, v in happening.fields.items() if k not in _OUR_OWN}
        self._write(
            {
                "at_s": round(happening.at_s, 3),
                "source": happening.source.value,
                "event": happening.event,
                "level": happening.level,
                "message": happening.message,
                **({"host": happening.host} if happening.host else {}),
                **fields,
            }
        )

    def end(self, verdict: Verdict) -> None:
        """The last object, the only one with ``result``."""
        self._write(
            {
                "result": "ok" if verdict.ok else "failed",
                "scenario": verdict.scenario,
                "reason": verdict.reason,
                "took_s": round(verdict.took_s, 3),
                "commands": [
                    {
                        "at_s": round(at_s, 3),
                        "host": command.host,
                        "switch": command.switch,
                        "action": command.action,
                        "by": command.by,
                    }
                    for at_s, command in verdict.commands
                ],
                "kept": verdict.kept,
            }
        )

    def _write(self, document: Mapping[str, object]) -> None:
        print(json.dumps(document, ensure_ascii=False, default=str), file=self._out, flush=True)
