"""
Puts the API together: the whole of it for the unix socket, the open part for TCP.

Who may open the socket may do everything; over TCP there are only metrics and
health.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from aiohttp import web
from prometheus_client import CollectorRegistry

from pmwatchd.api import events, explain, history, hosts, service, site
from pmwatchd.api.problems import problems
from pmwatchd.api.requests import counting
from pmwatchd.api.shown import SHOWN, Shown
from pmwatchd.core.orders import Record
from pmwatchd.observe.stream import EventStream
from pmwatchd.ports import Desk, Journal, Reloaded

BODY_MAX = 64 * 1024
OPEN = web.AppKey("open", web.Application)
"""The application for TCP that belongs to the whole one."""


def utc_now() -> datetime:
    """Wall-clock time, UTC."""
    return datetime.now(UTC)


def build_app(
    *,
    desk: Desk,
    journal: Journal,
    stream: EventStream,
    registry: CollectorRegistry,
    reload: Callable[[bool], Awaitable[Reloaded]],
    version: str,
    tell: Callable[[Record], None],
    wall: Callable[[], datetime] = utc_now,
) -> web.Application:
    """
    Build the whole API; ``app[OPEN]`` is its part for TCP.

    Args:
        reload: Reads configuration and inventory again; its argument permits large removals.
        tell: Shows and keeps the record of a person's command.
        wall: Wall-clock time, UTC.
    """
    tables = (
        service.open_routes,
        service.routes,
        hosts.routes,
        site.routes,
        history.routes,
        explain.routes,
        events.routes,
    )
    shown = Shown(
        desk=desk,
        journal=journal,
        stream=stream,
        registry=registry,
        reload=reload,
        version=version,
        tell=tell,
        wall=wall,
    )
    middlewares = (counting(registry, tables), problems)
    app = web.Application(middlewares=middlewares, client_max_size=BODY_MAX)
    reduced = web.Application(middlewares=middlewares, client_max_size=BODY_MAX)
    for table in tables:
        app.add_routes(table)
    reduced.add_routes(service.open_routes)
    app[SHOWN] = reduced[SHOWN] = shown
    app[OPEN] = reduced

    async def end_streams(_app: web.Application) -> None:
        stream.close()

    app.on_shutdown.append(end_streams)
    return app
