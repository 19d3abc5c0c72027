"""
Every error in one shape: RFC 9457 problem documents with a stable ``type``.

The middleware is the only place that turns an error into an answer.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from pmwatchd.errors import JournalError

logger = logging.getLogger(__name__)

REFUSED_STATUS: Mapping[str, int] = {
    "unknown-host": 404,
    "unknown-operation": 404,
    "invalid": 422,
}
"""The HTTP status of a refusal by the core; whatever is not here is a conflict, 409."""


class ProblemError(Exception):
    """
    A request is not answered as asked.

    Attributes:
        type: Stable name for programs, e.g. ``host-busy``.
        detail: One sentence for people.
        more: Further members of the document.
    """

    def __init__(self, status: int, kind: str, detail: str, **more: object) -> None:
        self.status = status
        self.type = kind
        self.detail = detail
        self.more = more
        super().__init__(detail)


def problem(
    status: int, kind: str, detail: str, more: Mapping[str, object] | None = None
) -> web.Response:
    """The document that a client gets."""
    document = {
        "type": kind,
        "title": kind.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
        **(more or {}),
    }
    return web.Response(
        text=json.dumps(document), status=status, content_type="application/problem+json"
    )


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell a client what went wrong; a bug is logged and shows nothing of itself."""
    try:
        return await handler(request)
    except ProblemError as error:
        return problem(error.status, error.type, error.detail, error.more)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return _of_http(request, error)
    except JournalError as error:
        return problem(503, "journal-unavailable", str(error))
    except ConnectionError:
        raise  # the client is gone, nobody reads an answer
    except Exception:
        logger.exception("A request failed because of a bug: %s %s", request.method, request.path)
        return problem(
            500, "internal-error", "The daemon could not answer; its log says more about it."
        )


def _of_http(request: web.Request, error: web.HTTPException) -> web.Response:
    match error:
        case web.HTTPNotFound():
            return problem(404, "not-found", f"There is nothing at {request.path}.")
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            answer = problem(405, "method-not-allowed", f"Possible here: {allowed}.")
            answer.headers["Allow"] = allowed
            return answer
        case web.HTTPRequestEntityTooLarge():
            return problem(413, "too-large", "The body is too large.")
        case _:
            return problem(error.status, error.reason.lower().replace(" ", "-"), error.reason)
