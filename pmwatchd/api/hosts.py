"""Hosts and what a person asks of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from aiohttp import web

from pmwatchd.api import render
from pmwatchd.api.asked import Query, body_of
from pmwatchd.api.caller import caller_of
from pmwatchd.api.command import command
from pmwatchd.api.problems import ProblemError
from pmwatchd.api.shown import SHOWN
from pmwatchd.core.events import (
    AckRequested,
    CancelRequested,
    MaintenanceEndRequested,
    MaintenanceRequested,
    PersonEvent,
    PowerRequested,
    StatusRequested,
    VouchRequested,
)
from pmwatchd.core.model import Action, HostStatus
from pmwatchd.core.orders import Accepted, PowerRead
from pmwatchd.core.views import HostView

PAGE = 500
PAGE_MAX = 1000
ACTIONS: Mapping[str, str] = {
    **{word: word for word in ("status", "off", "on", "restart", "cancel")},
    "stop": "off",
    "start": "on",
    "reboot": "restart",
}
"""What may be asked of a host's power, and what fence-agents and oVirt call it."""

routes = web.RouteTableDef()


@routes.get("/api/v1/hosts")
async def list_hosts(request: web.Request) -> web.Response:
    """Hosts by name, page by page; ``next`` is the cursor of the following page."""
    shown = request.app[SHOWN]
    query = Query(request, ("status", "cluster", "label", "cursor", "limit"))
    limit = query.number("limit", default=PAGE, least=1, most=PAGE_MAX)
    wanted = _filter(query)
    after = query.text("cursor") or ""
    views = [view for view in shown.desk.hosts() if view.host.name > after and wanted(view)]
    page = sorted(views, key=lambda view: view.host.name)[:limit]
    return web.json_response(
        {
            "items": [render.host(view, shown.desk.wall_of) for view in page],
            "next": page[-1].host.name if len(views) > len(page) else None,
        }
    )


@routes.get("/api/v1/hosts/{name}")
async def get_host(request: web.Request) -> web.Response:
    """One host.  404 when it is not watched."""
    Query(request, ())
    return web.json_response(render.host(_known(request), request.app[SHOWN].desk.wall_of))


@routes.post("/api/v1/hosts/{name}/power")
async def power(request: web.Request) -> web.Response:
    """200 with what the switches read, or 202 with the operation that goes on by itself."""
    name = request.match_info["name"]
    body = await body_of(request, ("action", "reason"))
    word, reason = body.text("action", required=True), body.text("reason")
    if word not in ACTIONS:
        raise ProblemError(422, "invalid", f"action must be one of {', '.join(ACTIONS)}.")
    action, by = ACTIONS[word], await caller_of(request)
    if action != "cancel":  # an operation may outlast the watch over its host
        _known(request)

    def make(number: int) -> PersonEvent:
        match action:
            case "status":
                return StatusRequested(request=number, host=name, by=by)
            case "cancel":
                return CancelRequested(request=number, host=name, by=by, reason=reason)
            case _:
                return PowerRequested(
                    request=number, host=name, action=Action(action), by=by, reason=reason
                )

    answer = await command(request, make, by=by, action=f"power {action}", host=name, reason=reason)
    return _answered(request, name, answer)


@routes.post("/api/v1/hosts/{name}/confirm-off")
async def confirm_off(request: web.Request) -> web.Response:
    """Take a person's word that a host is off: 202, or a refusal while anything says otherwise."""
    name = _known(request).host.name
    reason = (await body_of(request, ("reason",))).text("reason", required=True)
    by = await caller_of(request)

    def make(number: int) -> PersonEvent:
        return VouchRequested(request=number, host=name, by=by, reason=reason)

    answer = await command(request, make, by=by, action="confirm-off", host=name, reason=reason)
    return _answered(request, name, answer)


@routes.put("/api/v1/hosts/{name}/maintenance")
async def begin_maintenance(request: web.Request) -> web.Response:
    """Take a host out of automatic fencing, for a time or without end."""
    shown, name = request.app[SHOWN], _known(request).host.name
    body = await body_of(request, ("reason", "for_s", "for"))
    reason = body.text("reason", required=True)
    spans = [span_s for span_s in (body.span_s("for_s"), body.span_s("for")) if span_s is not None]
    if len(spans) > 1:
        raise ProblemError(422, "invalid", "for_s and for say the same; give one of them.")
    for_s = spans[0] if spans else None
    expires_at = None if for_s is None else shown.wall() + timedelta(seconds=for_s)
    by = await caller_of(request)

    def make(number: int) -> PersonEvent:
        return MaintenanceRequested(
            request=number, host=name, by=by, reason=reason, for_s=for_s, expires_at=expires_at
        )

    await command(request, make, by=by, action="maintenance start", host=name, reason=reason)
    return _host_now(request, name)


@routes.delete("/api/v1/hosts/{name}/maintenance")
async def end_maintenance(request: web.Request) -> web.Response:
    """Put a host back under automatic fencing."""
    name, by = _known(request).host.name, await caller_of(request)

    def make(number: int) -> PersonEvent:
        return MaintenanceEndRequested(request=number, host=name, by=by)

    await command(request, make, by=by, action="maintenance end", host=name)
    return _host_now(request, name)


@routes.post("/api/v1/hosts/{name}/ack")
async def acknowledge(request: web.Request) -> web.Response:
    """Let a parked host be fenced again: a person has looked at it."""
    name = _known(request).host.name
    reason = (await body_of(request, ("reason",))).text("reason")
    by = await caller_of(request)

    def make(number: int) -> PersonEvent:
        return AckRequested(request=number, host=name, by=by, reason=reason)

    await command(request, make, by=by, action="ack", host=name, reason=reason)
    return _host_now(request, name)


def _answered(request: web.Request, name: str, accepted: Accepted | PowerRead) -> web.Response:
    if isinstance(accepted, PowerRead):
        return web.json_response(render.power_read(name, accepted))
    if accepted.operation is None:  # done at once
        return web.json_response({"host": name, "operation": None, "joined": accepted.joined})
    desk = request.app[SHOWN].desk
    view = next((one for one in desk.operations() if one.id == accepted.operation), None)
    document = render.operation(view, desk.wall_of) if view else {"host": name, "state": "open"}
    # `operation` stands for the id wherever something else has an operation
    document |= {
        "id": accepted.operation,
        "operation": accepted.operation,
        "joined": accepted.joined,
    }
    return web.json_response(
        document, status=202, headers={"Location": f"/api/v1/operations/{accepted.operation}"}
    )


def _known(request: web.Request) -> HostView:
    name = request.match_info["name"]
    view = request.app[SHOWN].desk.host(name)
    if view is None:
        raise ProblemError(404, "unknown-host", f"{name[:100]!r} is not watched.")
    return view


def _host_now(request: web.Request, name: str) -> web.Response:
    desk = request.app[SHOWN].desk
    view = desk.host(name)
    return web.json_response(render.host(view, desk.wall_of) if view else {"name": name})


def _filter(query: Query) -> Callable[[HostView], bool]:
    status, cluster = query.text("status"), query.text("cluster")
    if status is not None and status not in set(HostStatus):
        known = ", ".join(HostStatus)
        raise ProblemError(400, "invalid", f"status must be one of {known}.")
    labels = []
    for text in query.all("label"):
        key, equals, value = text.partition("=")
        if not equals:
            raise ProblemError(400, "invalid", "label must be KEY=VALUE.")
        labels.append((key, value))

    def wanted(view: HostView) -> bool:
        return (
            (status is None or view.status == status)
            and (cluster is None or view.host.cluster == cluster)
            and all(view.host.labels.get(key) == value for key, value in labels)
        )

    return wanted
