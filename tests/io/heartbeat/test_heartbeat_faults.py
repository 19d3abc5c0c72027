"""Local faults are told."""

from __future__ import annotations

from structlog.testing import capture_logs

from pmwatchd.core.orders import Record
from pmwatchd.io.heartbeat.faults import AGAIN_S, FaultLog


def test_a_fault_is_told_once_a_minute_for_each_kind() -> None:
    told: list[Record] = []
    faults = FaultLog(told.append)
    faults.note("no_route", "node1", 0.0)
    faults.note("no_route", "node2", 1.0)
    faults.note("no_buffers", "node2", 1.0)
    faults.note("no_route", "node3", AGAIN_S)

    assert {record.event for record in told} == {"heartbeat.local_fault"}
    assert [(record.host, record.fields["reason"], record.fields["unsaid"]) for record in told] == [
        ("node1", "no_route", None),
        ("node2", "no_buffers", None),
        ("node3", "no_route", 1),
    ]


def test_a_fault_that_nobody_wants_to_be_told_is_logged() -> None:
    with capture_logs() as lines:
        FaultLog().note("no_route", "node1", 0.0)

    [line] = lines
    assert (line["event"], line["log_level"]) == ("heartbeat.local_fault", "warning")
    assert (line["host"], line["reason"]) == ("node1", "no_route")
