"""What a person says for the whole site: the pause, and the word that a storm is none."""

from __future__ import annotations

from aiohttp import web

from pmwatchd.api import render
from pmwatchd.api.asked import Query, body_of
from pmwatchd.api.caller import caller_of
from pmwatchd.api.command import command
from pmwatchd.api.shown import SHOWN
from pmwatchd.core.events import (
    OverrideEndRequested,
    OverrideRequested,
    PauseRequested,
    PersonEvent,
    ResumeRequested,
)

KEYS = ("reason", "for", "for_s", "expires_at")

routes = web.RouteTableDef()


@routes.get("/api/v1/pause")
async def get_pause(request: web.Request) -> web.Response:
    """Whether all automatic fencing is paused, by whom, why and until when."""
    Query(request, ())
    return _pause_now(request)


@routes.put("/api/v1/pause")
async def pause(request: web.Request) -> web.Response:
    """Stop all automatic fencing for a time; a pause that is there already is replaced."""
    body = await body_of(request, KEYS)
    reason = body.text("reason", required=True)
    for_s, expires_at = body.end(request.app[SHOWN].wall())
    by = await caller_of(request)

    def make(number: int) -> PersonEvent:
        return PauseRequested(
            request=number, by=by, reason=reason, for_s=for_s, expires_at=expires_at
        )

    await command(request, make, by=by, action="pause", reason=reason)
    return _pause_now(request)


@routes.delete("/api/v1/pause")
async def resume(request: web.Request) -> web.Response:
    """End the pause.  409 ``not-paused`` when there is none."""
    by = await caller_of(request)

    def make(number: int) -> PersonEvent:
        return ResumeRequested(request=number, by=by)

    await command(request, make, by=by, action="resume")
    return _pause_now(request)


@routes.get("/api/v1/override/storm")
async def get_override(request: web.Request) -> web.Response:
    """Whether a person said that a storm is none, who, why and until when."""
    Query(request, ())
    return _override_now(request)


@routes.put("/api/v1/override/storm")
async def override(request: web.Request) -> web.Response:
    """Say for a time that a storm is none: the silent hosts are really dead."""
    body = await body_of(request, KEYS)
    reason = body.text("reason", required=True)
    for_s, expires_at = body.end(request.app[SHOWN].wall())
    by = await caller_of(request)

    def make(number: int) -> PersonEvent:
        return OverrideRequested(
            request=number, by=by, reason=reason, for_s=for_s, expires_at=expires_at
        )

    await command(request, make, by=by, action="override storm", reason=reason)
    return _override_now(request)


@routes.delete("/api/v1/override/storm")
async def end_override(request: web.Request) -> web.Response:
    """Take back the word that a storm is none.  409 ``not-overridden`` when there is none."""
    by = await caller_of(request)

    def make(number: int) -> PersonEvent:
        return OverrideEndRequested(request=number, by=by)

    await command(request, make, by=by, action="override storm end")
    return _override_now(request)


def _pause_now(request: web.Request) -> web.Response:
    desk = request.app[SHOWN].desk
    kept = render.keeper(desk.site().paused, desk.wall_of)
    return web.json_response({"paused": kept is not None, **(kept or render.NOBODY)})


def _override_now(request: web.Request) -> web.Response:
    desk = request.app[SHOWN].desk
    kept = render.keeper(desk.site().override, desk.wall_of)
    return web.json_response({"overridden": kept is not None, **(kept or render.NOBODY)})
