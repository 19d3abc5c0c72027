"""The log: one JSON object per line."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import cast

import pytest
import structlog
from pydantic import SecretStr

from pmwatchd.core.model import AgentResult, PowerStatus
from pmwatchd.core.orders import Value
from pmwatchd.observe.lines import line_of, line_of_row, rfc3339
from pmwatchd.observe.log import LogTeller, configure
from tests.observe.fleet import CANARY, told


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def log_a_failure(password: str) -> None:
    """Log an exception with a secret among the local variables of its traceback."""
    try:
        int(f"{len(password)} letters")
    except ValueError:
        logging.getLogger("pmwatchd.api").exception("it failed")


def test_a_record_is_one_json_object_with_its_time_level_event_message_and_sequence_first() -> None:
    out = io.StringIO()
    configure(stream=out)
    LogTeller().tell(
        told(
            "fence.agent_executed",
            sequence=12,
            after_s=1.5,
            fields={
                "agent": "bmc",
                "action": "off",
                "result": AgentResult.OK,
                "power": PowerStatus.UNKNOWN,
                "took_s": 2.14,
                "reason": None,
            },
        )
    )

    (line,) = lines(out)
    assert list(line)[:5] == ["timestamp", "level", "event", "message", "sequence"]
    assert line == {
        "timestamp": "2026-01-01T00:00:01.500Z",
        "level": "info",
        "event": "fence.agent_executed",
        "message": "Agent bmc of node1, off: ok, power unknown in 2.1 s",
        "sequence": 12,
        "host": "node1",
        "operation": "op_1",
        "agent": "bmc",
        "action": "off",
        "result": "ok",
        "power": "unknown",
        "took_s": 2.14,
    }


def test_a_record_that_is_not_journalled_has_no_sequence() -> None:
    assert "sequence" not in line_of(told("proxy.connected", sequence=None))


def test_a_row_of_the_journal_reads_as_the_line_that_was_logged() -> None:
    record = told("fence.closed", sequence=3, fields={"outcome": "done", "took_s": 14.0})
    row = {
        "sequence": 3,
        "at": "2026-01-01T00:00:00.000000Z",
        "event": "fence.closed",
        "host": "node1",
        "operation": "op_1",
        "outcome": "done",
        "took_s": 14.0,
    }

    assert line_of_row(row) == line_of(record)


def test_an_instant_among_the_fields_is_written_as_every_other_one() -> None:
    fields: dict[str, Value] = {"until": "2026-11-21T10:16:22.256626+00:00", "by": "anna"}
    record = told("maintenance.began", sequence=3, fields=fields)
    row = {"sequence": 3, "at": "2026-01-01T00:00:00Z", "event": "maintenance.began", **fields}

    for line in (line_of(record), line_of_row(row)):
        assert line["until"] == "2026-11-21T10:16:22.256Z"
        assert "until 2026-11-21T10:16:22.256Z" in str(line["message"])


def test_a_maintenance_without_end_has_no_instant() -> None:
    assert "until" not in line_of(told("maintenance.began", fields={"until": None}))


def test_a_field_can_not_take_the_place_of_a_fixed_key() -> None:
    fields = cast("dict[str, Value]", {"event": "fence.off_proven", "level": "debug"})
    line = line_of(told("fence.off_failed", fields=fields))

    assert line["event"] == "fence.off_failed"
    assert line["level"] == "error"


def test_times_are_shown_in_utc() -> None:
    east = timezone(timedelta(hours=2))

    assert rfc3339(datetime(2026, 1, 1, 2, tzinfo=east)) == "2026-01-01T00:00:00.000Z"
    assert rfc3339("2026-01-01T02:00:00+02:00") == "2026-01-01T00:00:00.000Z"
    assert rfc3339("2026-01-01T00:00:00") == "2026-01-01T00:00:00.000Z"
    assert rfc3339(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) == "2026-01-01T00:00:00.000Z"
    assert rfc3339(None) is None


def test_quieter_records_are_not_shown() -> None:
    out = io.StringIO()
    configure(stream=out, level="warning")
    teller = LogTeller()
    teller.tell(told("fence.closed"))
    teller.tell(told("fence.opened"))

    assert [line["event"] for line in lines(out)] == ["fence.opened"]


def test_the_intent_is_shown_at_debug_level_only() -> None:
    out = io.StringIO()
    configure(stream=out)
    LogTeller().tell(told("fence.intended"))
    configure(stream=out, level="debug")
    LogTeller().tell(told("fence.intended"))

    assert [line["level"] for line in lines(out)] == ["debug"]


def test_a_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="loud"):
        configure(level="loud")


@pytest.mark.parametrize(
    ("event", "prefix"),
    [
        ("fence.closed", "<6>{"),
        ("fence.opened", "<4>{"),
        ("fence.no_proxy", "<3>{"),
        ("journal.failed", "<2>{"),
    ],
)
def test_for_the_journal_of_systemd_a_line_carries_its_priority(event: str, prefix: str) -> None:
    out = io.StringIO()
    configure(stream=out, format="journal")
    LogTeller().tell(told(event))

    assert out.getvalue().startswith(prefix)


def test_on_a_console_the_sentence_stands_in_plain_words() -> None:
    out = io.StringIO()
    configure(stream=out, format="console")
    LogTeller().tell(told("hold.began", fields={"hold": "startup"}))

    assert "node1 is not fenced now: startup" in out.getvalue()


def test_a_library_speaks_through_the_same_lines_from_warning_on() -> None:
    out = io.StringIO()
    configure(stream=out)
    library = logging.getLogger("asyncssh")
    library.info("connected to %s", "node2")
    library.warning("no route to %s", "node2")

    (line,) = lines(out)
    assert line["event"] == "python.logged"
    assert line["message"] == "no route to node2"
    assert line["level"] == "warning"
    assert line["logger"] == "asyncssh"


def test_an_exception_shows_no_local_variable() -> None:
    out = io.StringIO()
    configure(stream=out)
    log_a_failure(CANARY)

    (line,) = lines(out)
    assert "ValueError" in json.dumps(line["exception"])
    assert CANARY not in out.getvalue()


def test_an_exception_on_a_console_shows_no_local_variable() -> None:
    out = io.StringIO()
    configure(stream=out, format="console")
    log_a_failure(CANARY)

    assert "ValueError" in out.getvalue()
    assert CANARY not in out.getvalue()


def test_a_secret_that_comes_here_by_mistake_stays_hidden() -> None:
    out = io.StringIO()
    configure(stream=out)
    fields = cast("dict[str, Value]", {"reason": SecretStr(CANARY)})
    LogTeller().tell(told("alert.raised", fields=fields))

    assert lines(out)[0]["reason"] == "***"
    assert CANARY not in out.getvalue()


def test_a_log_that_can_not_be_written_costs_the_line_only() -> None:
    class FullDisk(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

    configure(stream=FullDisk())
    LogTeller().tell(told("fence.opened"))
