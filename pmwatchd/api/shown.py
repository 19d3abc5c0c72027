"""What the handlers work with: everything that the API shows or asks, in one place."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from aiohttp import web
from prometheus_client import CollectorRegistry

from pmwatchd.core.orders import Record
from pmwatchd.observe.stream import EventStream
from pmwatchd.ports import Desk, Journal, Reloaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """
    The daemon as the API sees it.

    Attributes:
        reload: Reads configuration and inventory again; its argument permits large removals.
        tell: Shows and keeps a record of a person's command.
        wall: Wall-clock time, UTC; ends only what a person set.
        scraping: One scrape at a time; a second one waits.
    """

    desk: Desk
    journal: Journal
    stream: EventStream
    registry: CollectorRegistry
    reload: Callable[[bool], Awaitable[Reloaded]]
    version: str
    tell: Callable[[Record], None]
    wall: Callable[[], datetime]
    scraping: asyncio.Lock = field(default_factory=asyncio.Lock)


SHOWN = web.AppKey("shown", Shown)
