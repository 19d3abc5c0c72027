"""Why it did, or why it waits: reads what the story of a host or an operation is made of."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web

from pmwatchd.api import render
from pmwatchd.api.asked import Query
from pmwatchd.api.problems import ProblemError
from pmwatchd.api.shown import SHOWN, Shown
from pmwatchd.core.model import Cause
from pmwatchd.core.views import HostView, OperationView
from pmwatchd.observe import explain
from pmwatchd.observe.story import Story, operation_of
from pmwatchd.ports import Row

PAGE = 1000

routes = web.RouteTableDef()


@routes.get("/api/v1/explain/{name}")
async def explained(request: web.Request) -> web.Response:
    """
    Tell the story of a host or of an operation, as values and as text.

    ``since`` lets the story of a host begin elsewhere than at its last
    answer.  What repeats itself in the records is counted: ``times``,
    ``last_at``.  404 when neither is known by that name.
    """
    shown, name = request.app[SHOWN], request.match_info["name"]
    since = Query(request, ("since",)).since("since", shown.wall())
    view = shown.desk.host(name)
    if view is not None:
        return web.json_response(await _of_host(shown, view, since))
    running = _running(shown, name)
    rows = await shown.journal.operations(operation=name, limit=1)
    if rows:
        row = rows[0]
    elif running:  # opened while the journal could not be written, or this very moment
        row = render.operation(running, shown.desk.wall_of)
    else:
        kind = "unknown-operation" if name.startswith("op_") else "unknown-host"
        detail = f"{name[:100]!r} is neither a watched host nor a known operation."
        raise ProblemError(404, kind, detail)
    if since is not None:
        raise ProblemError(400, "invalid", "since goes with a host; an operation is told whole.")
    return web.json_response(await _of_operation(shown, name, row, running))


async def _of_host(shown: Shown, view: HostView, since: datetime | None) -> render.Json:
    name, desk = view.host.name, shown.desk
    rows = await shown.journal.operations(host=name, limit=1)
    last = rows[0] if rows else None
    story = Story(anew=since is None and view.last_answer_at is None)
    because = "as far back as was asked for"
    if since is None and not explain.calm(view):
        since, because = explain.beginning(view, last, desk.wall_of, shown.wall())
    if since is not None:
        await _read(shown, story, name, since)
    about = explain.About(
        name=name,
        host=name,
        view=view,
        site=desk.site(),
        wall_of=desk.wall_of,
        running=None if view.operation is None else _running(shown, view.operation),
        operation=last,
        since=since,
        because=because,
    )
    return explain.document(about, story)


async def _of_operation(
    shown: Shown, name: str, row: Row, running: OperationView | None
) -> render.Json:
    operation, host, desk = operation_of(row), str(row["host"]), shown.desk
    since, because = explain.beginning_of(operation)
    story = Story(of=operation, anew=operation.cause == Cause.AUTOMATIC)
    await _read(shown, story, host, since)
    about = explain.About(
        name=name,
        host=host,
        view=desk.host(host),
        site=desk.site(),
        wall_of=desk.wall_of,
        running=running,
        operation=row,
        of_operation=True,
        since=since,
        because=because,
    )
    return explain.document(about, story)


def _running(shown: Shown, operation: str) -> OperationView | None:
    return next((view for view in shown.desk.operations() if view.id == operation), None)


async def _read(shown: Shown, story: Story, host: str, since: datetime) -> None:
    """Let the story have every record of the host since then, until it has ended."""
    after = 0
    while not story.ended:
        page = await shown.journal.records(after=after, host=host, since=since, limit=PAGE)
        story.add(page)
        if len(page) < PAGE:
            return
        after = int(str(page[-1]["sequence"]))
