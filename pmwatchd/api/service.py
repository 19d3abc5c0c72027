"""The daemon itself: how it is, its metrics, its reload."""

from __future__ import annotations

from aiohttp import web

from pmwatchd.api import render
from pmwatchd.api.asked import Query, body_of
from pmwatchd.api.caller import caller_of
from pmwatchd.api.problems import ProblemError
from pmwatchd.api.shown import SHOWN
from pmwatchd.core.orders import Record
from pmwatchd.errors import ConfigError, Fault
from pmwatchd.observe.exposition import CONTENT_TYPE, expose

PASS_AGE_MAX_S = 30.0
"""The engine passes at least once a second; thirty missed passes are no coincidence."""

routes = web.RouteTableDef()
open_routes = web.RouteTableDef()  # those that may be served without a peer's credentials


@open_routes.get("/healthz")
async def live(request: web.Request) -> web.Response:
    """200 while the engine makes progress, else 503."""
    health = request.app[SHOWN].desk.health()
    alive = health.last_pass_age_s <= PASS_AGE_MAX_S
    return web.json_response(
        {"live": alive, "last_pass_age_s": round(health.last_pass_age_s, 3)},
        status=200 if alive else 503,
    )


@open_routes.get("/readyz")
async def ready(request: web.Request) -> web.Response:
    """200 once the journal is read and the first pass is over, else 503."""
    health = request.app[SHOWN].desk.health()
    return web.json_response({"ready": health.ready}, status=200 if health.ready else 503)


@open_routes.get("/metrics")
async def metrics(request: web.Request) -> web.Response:
    """The Prometheus text format."""
    shown = request.app[SHOWN]
    async with shown.scraping:
        text = await expose(shown.registry)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})


@routes.get("/api/v1/status")
async def status(request: web.Request) -> web.Response:
    """The fleet at a glance."""
    Query(request, ())
    shown = request.app[SHOWN]
    return web.json_response(render.fleet(shown.desk, shown.version))


@routes.post("/api/v1/reload")
async def reload(request: web.Request) -> web.Response:
    """Read configuration and inventory again; 422 with every fault, and nothing is changed."""
    shown = request.app[SHOWN]
    allow_removal = (await body_of(request, ("allow_removal",))).flag("allow_removal")
    fields = {"by": await caller_of(request), "action": "reload"}
    shown.tell(Record(event="api.command", fields=fields))
    try:
        result = await shown.reload(allow_removal)
    except ConfigError as error:
        raise _faulty(error.faults) from error
    if result.faults:
        raise _faulty(result.faults)
    return web.json_response(render.reloaded(result))


def _faulty(found: tuple[Fault, ...]) -> ProblemError:
    why = "" if len(found) == 1 else f" for {len(found)} faults"
    return ProblemError(
        422,
        "configuration-refused",
        f"The reload is refused{why}; nothing was changed.",
        faults=render.faults(found),
    )
