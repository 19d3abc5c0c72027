"""
The daemon's API over its unix socket, with the standard library alone.

Everything that can go wrong becomes a :class:`~pmwatchd.errors.ClientError`
here, at the border: what, where, why and what to do, with its exit code.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from pmwatchd.errors import ClientError

Document = dict[str, Any]
Parameter = str | int | tuple[str, ...] | None

DONE, FAILED, USAGE, UNREACHABLE, REFUSED, DEGRADED, RUNNING = range(7)
INTERRUPTED = 130

ANSWER_WITHIN_S = 60.0
SILENCE_MAX_S = 60.0
"""An event stream is never silent for longer: the daemon sends comments in between."""

_ROOT = "/api/v1"
_KINDS = {UNREACHABLE: "daemon-unreachable", REFUSED: "not-permitted"}
# From harmless to grave: nobody looks at the rest once the daemon is gone, and a
# failed power action is worse than one that never began.
_GRAVITY = (DONE, DEGRADED, RUNNING, REFUSED, USAGE, FAILED, UNREACHABLE)


def worst(codes: Iterable[int]) -> int:
    """Return the gravest of several exit codes; done if there are none."""
    return max(codes, key=_GRAVITY.index, default=DONE)


class ProblemError(ClientError):
    """
    The daemon answered with a problem document.

    Attributes:
        status: The HTTP status that it came with.
        document: The document itself, RFC 9457.
    """

    def __init__(self, status: int, document: Document) -> None:
        self.status = status
        self.document = document
        told = document.get("detail") or document.get("title") or f"the daemon answered {status}"
        super().__init__(str(told), _exit_code(status))

    def about(self, host: str, detail: str) -> ProblemError:
        """Make the same refusal name its host, with another sentence."""
        return ProblemError(self.status, self.document | {"host": host, "detail": detail})


def problem_of(error: ClientError) -> Document:
    """Describe an error as the daemon does: its own document, or one in the same shape."""
    if isinstance(error, ProblemError):
        return error.document
    kind = _KINDS.get(error.exit_code, "failed")
    title = kind.replace("-", " ").capitalize()
    return {"type": kind, "title": title, "detail": str(error)}


def _exit_code(status: int) -> int:
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        return USAGE
    # Unavailable is said of a journal that cannot be written: a hold, not a fault.
    if status < HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.SERVICE_UNAVAILABLE:
        return REFUSED
    return FAILED


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, *, within_s: float | None) -> None:
        super().__init__("localhost", timeout=within_s)
        self._path = path

    def connect(self) -> None:
        """Reach the socket instead of a port."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._path)
        except OSError:
            self.close()
            raise


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is on its way; many can be, so that the daemon works on all at once."""

    api: Api
    connection: _Connection

    def answer(self, *, within_s: float | None) -> Document:
        """
        Wait for the answer, at most *within_s* seconds (None: for ever).

        Raises:
            TimeoutError: It did not come in time; whether the request was carried out is unknown.
            ClientError: The daemon refused, or is gone.
        """
        with self.api.border():
            if self.connection.sock is not None:
                self.connection.sock.settimeout(within_s)
            try:
                answer = self.connection.getresponse()
                return _document(answer.status, answer.read())
            finally:
                self.connection.close()


@dataclass(frozen=True, slots=True)
class Stream:
    """Records as they are told."""

    connection: _Connection
    answer: http.client.HTTPResponse

    def __iter__(self) -> Iterator[Document]:
        """Yield each record, until the daemon ends the stream or is gone."""
        while True:
            try:
                line = self.answer.readline()
            except (OSError, http.client.HTTPException):
                return  # cut off, or mute beyond the comments that keep a stream alive
            if not line:
                return
            if line.startswith(b"data:"):
                yield json.loads(line.removeprefix(b"data:"))

    def close(self) -> None:
        """Leave."""
        self.answer.close()
        self.connection.close()


@dataclass(frozen=True, slots=True)
class Api:
    """The API behind one unix socket, which answers within so many seconds."""

    path: str
    within_s: float = ANSWER_WITHIN_S

    def ask(self, method: str, path: str, body: Document | None = None) -> Asked:
        """Send a request without waiting for its answer."""
        connection = _Connection(self.path, within_s=self.within_s)
        headers = {"Accept": "application/json"}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body)
        try:
            with self.border():
                connection.request(method, _ROOT + path, content, headers)
        except (ClientError, TimeoutError):
            connection.close()
            raise
        return Asked(self, connection)

    def get(self, path: str, **query: Parameter) -> Document:
        """Read one document; parameters that are None are left out."""
        return self.call("GET", path + _query(query))

    def items(self, path: str, place: str = "cursor", **query: Parameter) -> Iterator[Document]:
        """Read all items of a list, page after page; *place* is what names the next page."""
        begin: Parameter = None
        while True:
            page = self.get(path, **query | {place: begin} if begin is not None else query)
            yield from page["items"]
            begin = page.get("next")
            if begin is None:
                return

    def call(
        self,
        method: str,
        path: str,
        body: Document | None = None,
        *,
        within_s: float | None = None,
    ) -> Document:
        """Send a request and wait for its answer."""
        within_s = within_s or self.within_s
        try:
            return self.ask(method, path, body).answer(within_s=within_s)
        except TimeoutError:
            raise ClientError(
                f"pmwatchd at {self.path} did not answer within {within_s:g} s; what was asked may "
                "still have been done. See `systemctl status pmwatchd`",
                UNREACHABLE,
            ) from None

    def listen(self, *, after: int | None = None) -> Stream:
        """
        Open the stream of records that are told from now on, or from number *after* on.

        Raises:
            ClientError: The daemon refused, or is gone.
        """
        connection = _Connection(self.path, within_s=SILENCE_MAX_S)
        headers = {"Accept": "text/event-stream"}
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        try:
            with self.border():
                connection.request("GET", f"{_ROOT}/events", headers=headers)
                answer = connection.getresponse()
                if answer.status != HTTPStatus.OK:
                    _document(answer.status, answer.read())
        except TimeoutError:
            connection.close()
            raise ClientError(
                f"pmwatchd at {self.path} did not answer. See `systemctl status pmwatchd`",
                UNREACHABLE,
            ) from None
        except ClientError:
            connection.close()
            raise
        return Stream(connection, answer)

    @contextmanager
    def border(self) -> Iterator[None]:
        """Translate what sockets and HTTP raise; a time-out is left to the caller."""
        try:
            yield
        except TimeoutError:
            raise
        except (FileNotFoundError, ConnectionRefusedError):
            raise ClientError(
                f"pmwatchd is not running: nothing listens on {self.path}. See `systemctl status "
                "pmwatchd`, or name another socket with --url unix:PATH",
                UNREACHABLE,
            ) from None
        except PermissionError:
            raise ClientError(
                f"You may not speak to pmwatchd: {self.path} is open to root and to the group "
                "`api.socket_group` of its configuration. Use sudo or join that group",
                REFUSED,
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise ClientError(
                f"The connection to pmwatchd at {self.path} broke ({str(error) or repr(error)}); "
                "what was asked may still have been done. See `systemctl status pmwatchd`",
                UNREACHABLE,
            ) from error


def host_path(name: str, *rest: str) -> str:
    """Path of a host, or of something below it; the name is taken as it was typed."""
    return "/".join(["/hosts", quote(name, safe=""), *rest])


def _query(query: Mapping[str, Parameter]) -> str:
    given = {key: value for key, value in query.items() if value not in (None, "", ())}
    return f"?{urlencode(given, doseq=True)}" if given else ""


def _document(status: int, content: bytes) -> Document:
    try:
        document = json.loads(content) if content else {}
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ClientError(
            f"What answered on the socket is not pmwatchd (status {status}, no JSON). "
            "Check --url and PMWATCHD_URL",
            UNREACHABLE,
        )
    if status >= HTTPStatus.BAD_REQUEST:
        raise ProblemError(status, document)
    return document
