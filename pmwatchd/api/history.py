"""What has happened: operations and records, from the journal."""

from __future__ import annotations

from aiohttp import web

from pmwatchd.api import render
from pmwatchd.api.asked import Query
from pmwatchd.api.problems import ProblemError
from pmwatchd.api.shown import SHOWN, Shown
from pmwatchd.observe.lines import line_of_row
from pmwatchd.ports import Row

PAGE = 100
PAGE_MAX = 1000
OPERATIONS_MAX = 100_000
OPEN, CLOSED = STATES = ("open", "closed")

routes = web.RouteTableDef()


@routes.get("/api/v1/operations")
async def list_operations(request: web.Request) -> web.Response:
    """
    Operations, the newest first, page by page.

    The cursor counts what was shown already: operations that open between two
    pages make some of the others appear twice, never get lost.
    """
    shown = request.app[SHOWN]
    query = Query(request, ("host", "state", "since", "cursor", "limit"))
    limit = query.number("limit", default=PAGE, least=1, most=PAGE_MAX)
    begin = query.number("cursor", default=0, most=OPERATIONS_MAX)
    rows = await _operations(shown, query, begin + limit + 1)
    page = rows[begin : begin + limit]
    running = {view.id: view for view in shown.desk.operations()}
    return web.json_response(
        {
            "items": [render.operation_row(row, running.get(str(row["id"]))) for row in page],
            "next": str(begin + limit) if len(rows) > begin + limit else None,
        }
    )


@routes.get("/api/v1/operations/{id}")
async def get_operation(request: web.Request) -> web.Response:
    """One operation with every execution of an agent.  404 when it is not known."""
    Query(request, ())
    shown, operation = request.app[SHOWN], request.match_info["id"]
    running = next((view for view in shown.desk.operations() if view.id == operation), None)
    rows = await shown.journal.operations(operation=operation, limit=1)
    if rows:
        document = render.operation_row(rows[0], running)
    elif running:  # opened while the journal could not be written, or this very moment
        document = render.operation(running, shown.desk.wall_of)
    else:
        raise ProblemError(404, "unknown-operation", f"{operation[:100]!r} is not known.")
    records = await _all_records(shown, operation)
    return web.json_response(document | {"steps": render.steps(records)})


@routes.get("/api/v1/records")
async def list_records(request: web.Request) -> web.Response:
    """
    Records, the oldest first, as in the log.

    ``after`` is a sequence; so is ``cursor``, which goes on where a page ended.
    """
    shown = request.app[SHOWN]
    query = Query(request, ("host", "operation", "since", "after", "cursor", "limit"))
    limit = query.number("limit", default=PAGE_MAX, least=1, most=PAGE_MAX)
    rows = await shown.journal.records(
        after=query.number("cursor", default=query.number("after", default=0)),
        host=query.text("host"),
        operation=query.text("operation"),
        since=query.since("since", shown.wall()),
        limit=limit + 1,
    )
    page = rows[:limit]
    return web.json_response(
        {
            "items": [line_of_row(row) for row in page],
            "next": page[-1]["sequence"] if len(rows) > limit else None,
        }
    )


async def _operations(shown: Shown, query: Query, count: int) -> list[Row]:
    """The newest *count* operations that are wanted, or all if there are fewer."""
    host, state, since = query.text("host"), query.text("state"), query.since("since", shown.wall())
    if state not in (None, *STATES):
        raise ProblemError(400, "invalid", f"state must be one of {', '.join(STATES)}.")
    if state == OPEN:
        since = shown.wall()  # whatever ended before is not open, whenever it began
    reach = count
    while True:
        rows = await shown.journal.operations(host=host, since=since, limit=reach)
        found = [row for row in rows if state in (None, render.state(row))]
        if len(found) >= count or len(rows) < reach:
            return found
        reach *= 2


async def _all_records(shown: Shown, operation: str) -> list[Row]:
    records: list[Row] = []
    after = 0
    while True:
        page = await shown.journal.records(after=after, operation=operation, limit=PAGE_MAX)
        records += page
        if len(page) < PAGE_MAX:
            return records
        after = _sequence(page[-1])


def _sequence(row: Row) -> int:
    return int(str(row["sequence"]))
