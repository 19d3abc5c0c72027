"""The one way in which a person's word reaches the engine: told, asked, answered or refused."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from pmwatchd.api.problems import REFUSED_STATUS, ProblemError
from pmwatchd.api.shown import SHOWN
from pmwatchd.core.events import PersonEvent
from pmwatchd.core.orders import Accepted, PowerRead, Record, Refused


async def command(
    request: web.Request,
    make: Callable[[int], PersonEvent],
    *,
    by: str,
    action: str,
    host: str | None = None,
    reason: str = "",
) -> Accepted | PowerRead:
    """
    Tell who asks for what, ask, and turn a refusal into a problem.

    Raises:
        ProblemError: The core refuses; its ``type`` is the refusal's.
    """
    shown = request.app[SHOWN]
    fields = {"by": by, "action": action}
    shown.tell(
        Record(
            event="api.command", host=host, fields=fields | ({"reason": reason} if reason else {})
        )
    )
    # the engine owns what follows: a client that goes away takes only its answer along
    answer = await shown.desk.ask(make)
    if not isinstance(answer, Refused):
        return answer
    shown.tell(Record(event="api.denied", host=host, fields=fields | {"reason": answer.reason}))
    more = {} if answer.operation is None else {"operation": answer.operation}
    raise ProblemError(REFUSED_STATUS.get(answer.type, 409), answer.type, answer.reason, **more)
