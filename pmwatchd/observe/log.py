"""
The log: one JSON object per line on stdout.

:func:`configure` is called once at start.  Records come through
:class:`LogTeller`; what libraries say through :mod:`logging` takes the same
way, from ``warning`` on, as event ``python.logged``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

from pmwatchd.core.orders import Told
from pmwatchd.observe.lines import line_of, rfc3339
from pmwatchd.observe.messages import Level

Format = Literal["json", "console", "journal"]
LineDict = MutableMapping[str, Any]

# what systemd's journal understands as a priority in front of a line (sd-daemon(3))
PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
FIRST_KEYS = ("timestamp", "level", "event", "message", "sequence")
MASK = "***"


def configure(
    *,
    format: Format = "json",  # noqa: A002 - it is called so in the configuration
    level: str = "info",
    stream: TextIO | None = None,
) -> None:
    """
    Say where the log goes and how it looks, for this process.

    Args:
        format: ``json``; ``journal``: the same behind systemd's ``<N>``; ``console``: for people.
        level: The quietest level that is shown; see :class:`~pmwatchd.observe.messages.Level`.
        stream: Where lines go; stdout unless given.

    Raises:
        ValueError: *level* is not in the closed list.
    """
    lowest = logging.getLevelNamesMapping()[Level(level).upper()]
    out = stream or sys.stdout
    chain: list[Processor] = [
        structlog.processors.add_log_level,
        _stamp,
        _mask_secrets,
        *_renderers(format, colors=out.isatty()),
    ]
    structlog.configure(
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_name_library],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *chain],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(lowest, logging.WARNING))


class LogTeller:
    """Shows records as log lines; a full disk or a closed pipe costs the line, never the daemon."""

    def __init__(self) -> None:
        self._logger = structlog.get_logger()

    def tell(self, told: Told) -> None:
        """Write one line if its level is shown."""
        line = line_of(told)
        level = logging.getLevelNamesMapping()[str(line.pop("level")).upper()]
        event = line.pop("event")
        with contextlib.suppress(OSError, ValueError):
            self._logger.log(level, event, **line)


def _renderers(kind: Format, *, colors: bool) -> list[Processor]:
    if kind == "console":
        plain = structlog.dev.plain_traceback  # the rich one shows local variables
        return [
            structlog.dev.ConsoleRenderer(
                colors=colors, sort_keys=False, event_key="message", exception_formatter=plain
            )
        ]
    # local variables may be secrets, so a traceback shows none
    transformer = ExceptionDictTransformer(show_locals=False)
    render = _render_json if kind == "json" else _render_journal
    return [structlog.processors.ExceptionRenderer(transformer), render]


def _stamp(_logger: Any, _method: str, line: LineDict) -> LineDict:
    """A record brings its own time and sentence; whatever else is logged gets both here."""
    line.setdefault("message", line["event"])
    line.setdefault("timestamp", rfc3339(datetime.now(UTC)))
    return line


def _mask_secrets(_logger: Any, _method: str, line: LineDict) -> LineDict:
    """No secret comes here; one that does by mistake shows nothing of itself."""
    return {
        key: MASK if hasattr(value, "get_secret_value") else value for key, value in line.items()
    }


def _name_library(_logger: Any, _method: str, line: LineDict) -> LineDict:
    line["message"] = line["event"]
    line["event"] = "python.logged"
    line["logger"] = line["_record"].name
    return line


def _render_json(_logger: Any, _method: str, line: LineDict) -> str:
    first = {key: line[key] for key in FIRST_KEYS if key in line}
    return json.dumps({**first, **line}, default=str)


def _render_journal(logger: Any, method: str, line: LineDict) -> str:
    return f"<{PRIORITY[line['level']]}>{_render_json(logger, method, line)}"
