"""
Tells what happens, to people or to programs.

For people: one line each with the time since the beginning and who says so,
the iron beside the daemon, so that claim and fact can be compared.  For
programs: one JSON object per line, the last one with ``result``.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from textwrap import fill
from types import MappingProxyType
from typing import Protocol, TextIO

from pmwatchd.lab.chronicle import Happening, Source
from pmwatchd.lab.verdict import Verdict

_BOLD, _DIM, _RED, _GREEN, _YELLOW, _CYAN = "1", "2", "31", "32", "33", "36"
_COLOUR = {Source.LAB: _DIM, Source.IRON: _YELLOW, Source.DAEMON: _CYAN}
_WIDTH = 88
_MILESTONES = frozenset({"fence.off_proven", "fence.on_proven", "fence.closed", "lab.killed"})
_LOUD = frozenset({"error", "critical"})
_OUR_OWN = frozenset({"timestamp", "level", "event", "message", "host"})


Line = Mapping[str, object]


def _executed(line: Line) -> str:
    proxy, agent, action = line.get("proxy"), line.get("agent"), line.get("action")
    power, result = line.get("power"), line.get("result")
    where = f"{agent} of {line.get('host')} through {proxy or 'nobody'}"
    if action == "status":
        return f"asked {where} for its status: {power if power in ('on', 'off') else result}"
    return f"sent '{action}' to {where}: {'accepted' if result == 'ok' else result}"


def _opened(line: Line) -> str:
    return f"decides to {line.get('action')} {line.get('host')}: operation {line.get('operation')}"


def _proxy_failed(line: Line) -> str:
    return f"proxy {line.get('proxy')} is no use ({line.get('result')}), the next one is tried"


def _off_proven(line: Line) -> str:
    return f"{line.get('host')} is proven off: it was read off twice"


def _off_failed(line: Line) -> str:
    # The reason goes on with what the agent said; the story stops before that.
    reason = ": ".join(str(line.get("reason", "")).split(": ")[:2])
    return f"{line.get('host')} is not proven off by group {line.get('group')} ({reason})"


def _on_proven(line: Line) -> str:
    return f"{line.get('host')} is proven on, now it may boot"


def _continued(line: Line) -> str:
    return (
        f"finds operation {line.get('operation')} open in its journal; waits until nothing of it "
        "can still be running"
    )


def _closed(line: Line) -> str:
    return f"operation {line.get('operation')} has ended: {line.get('outcome')}"


_WORDS: Mapping[str, Callable[[Line], str]] = MappingProxyType(
    {
        "fence.agent_executed": _executed,
        "fence.opened": _opened,
        "fence.proxy_failed": _proxy_failed,
        "fence.off_proven": _off_proven,
        "fence.off_failed": _off_failed,
        "fence.on_proven": _on_proven,
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
        self._all_heard = False

    def begin(self, title: str, plot: str) -> None:
        """The title and the plot."""
        self._say(f"\n{self._paint(title, _BOLD)}\n{fill(plot, _WIDTH)}\n")

    def happened(self, happening: Happening) -> None:
        """One line; that each host is heard for the first time is summed up by the lab."""
        self._all_heard |= happening.event == "lab.ready"
        first_sign = happening.event == "watch.answered" and not self._all_heard
        if happening.level == "debug" or first_sign:
            return
        words = _WORDS.get(happening.event)
        message = happening.message if words is None else words(happening.fields)
        colour = _RED if happening.level in _LOUD else _COLOUR[happening.source]
        label = self._paint(f"{happening.source:<6}", colour)
        if happening.event in _MILESTONES:
            message = self._paint(message, _BOLD)
        self._say(f"{happening.at_s:7.2f} s  {label}  {message}")

    def end(self, verdict: Verdict) -> None:
        """The iron's own record and the result."""
        self._say("\nWhat the power switches wrote down themselves:")
        width = max((len(command.switch) for _, command in verdict.commands), default=0)
        for at_s, command in verdict.commands:
            switch = command.switch.ljust(width)
            self._say(f"{at_s:7.2f} s  {switch}  {command.action:<3}  from {command.by}")
        if not verdict.commands:
            self._say("           nothing: no command to switch reached any of them")
        word = self._paint("ok", _GREEN) if verdict.ok else self._paint("failed", _RED)
        self._say(f"\n{word}: {verdict.reason} ({verdict.took_s:.1f} s)")
        if verdict.kept is not None:
            self._say(f"The daemon's log, its journal and all other files are in {verdict.kept}")
        if verdict.ok and verdict.others:
            self._say(f"Other scenarios: {', '.join(verdict.others)}. To look around: pmwatchd lab")

    def _say(self, text: str) -> None:
        _write(self._out, text)

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
        """One object; the rest of the daemon's own line is a part of it."""
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
                # Apart, because an agent's execution has a result as well.
                **({"fields": fields} if fields else {}),
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
        _write(self._out, json.dumps(document, ensure_ascii=False, default=str))


def _write(out: TextIO, text: str) -> None:
    try:
        print(text, file=out, flush=True)
    except BrokenPipeError:
        # Whoever listened has left, as `head` does: end in order, as on Ctrl-C.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        signal.raise_signal(signal.SIGTERM)
