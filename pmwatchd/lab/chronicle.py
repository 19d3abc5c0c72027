"""
What happened, in order: the iron's doings and the daemon's log lines side by side.

A scenario waits for a happening here, the story is told from here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Source(StrEnum):
    """Who says so."""

    LAB = "lab"
    IRON = "iron"
    DAEMON = "daemon"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """
    One thing that happened.

    Attributes:
        at_s: Seconds since the chronicle began.
        fields: What else a log line of the daemon carries.
    """

    at_s: float
    source: Source
    event: str
    message: str
    host: str | None = None
    level: str = "info"
    fields: Mapping[str, object] = field(default_factory=dict)


Listener = Callable[[Happening], None]


class LabError(Exception):
    """The lab did not end as it should; the sentence says why."""


class Chronicle:
    """Keeps happenings, shows each to a listener, and lets others wait for one."""

    def __init__(self, listener: Listener | None = None) -> None:
        self.happenings: list[Happening] = []
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._began_at = self._loop.time()
        self._news = asyncio.Event()

    @property
    def now_s(self) -> float:
        """Seconds since it began."""
        return self._loop.time() - self._began_at

    def seconds(self, at: float) -> float:
        """An instant of the loop's clock in seconds since the chronicle began."""
        return at - self._began_at

    def lab(self, event: str, message: str, host: str | None = None) -> None:
        """Write down what the lab itself does."""
        self._add(Source.LAB, event, message, host=host)

    def iron(self, event: str, host: str, message: str) -> None:
        """Write down what happened to a machine."""
        self._add(Source.IRON, event, message, host=host)

    def daemon(self, line: Mapping[str, object]) -> None:
        """Write down a line of the daemon's log."""
        host = line.get("host")
        event = str(line.get("event", "?"))
        self._add(
            Source.DAEMON,
            event,
            str(line.get("message", event)),
            host=None if host is None else str(host),
            level=str(line.get("level", "info")),
            fields=line,
        )

    async def until(self, wanted: Callable[[Happening], bool], *, after: int = 0) -> Happening:
        """Wait for the first wanted happening from number *after* on; it may be over already."""
        position = after
        while True:
            for happening in self.happenings[position:]:
                if wanted(happening):
                    return happening
            position = len(self.happenings)
            await self._news.wait()

    def _add(
        self,
        source: Source,
        event: str,
        message: str,
        *,
        host: str | None,
        level: str = "info",
        fields: Mapping[str, object] | None = None,
    ) -> None:
        happening = Happening(
            at_s=self.now_s,
            source=source,
            event=event,
            message=message,
            host=host,
            level=level,
            fields=fields or {},
        )
        self.happenings.append(happening)
        if self._listener is not None:
            self._listener(happening)
        # Whoever waits now looks again; whoever comes later gets a fresh event.
        self._news.set()
        self._news = asyncio.Event()


def heard(source: Source, event: str, host: str | None = None) -> Callable[[Happening], bool]:
    """A condition for :meth:`Chronicle.until`."""
    return lambda h: h.source is source and h.event == event and host in (None, h.host)
