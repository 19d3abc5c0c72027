"""Local faults in the log."""

from __future__ import annotations

from structlog.testing import capture_logs

from pmwatchd.io.heartbeat.faults import AGAIN_S, FaultLog


def test_a_fault_is_said_once_a_minute_for_each_kind() -> None:
    faults = FaultLog()
    with capture_logs() as lines:
        faults.note("no_route", "node1", 0.0)
        faults.note("no_route", "node2", 1.0)
        faults.note("no_buffers", "node2", 1.0)
        faults.note("no_route", "node3", AGAIN_S)

    assert [(line["event"], line["kind"], line["host"], line["unsaid"]) for line in lines] == [
        ("heartbeat.local_fault", "no_route", "node1", 0),
        ("heartbeat.local_fault", "no_buffers", "node2", 0),
        ("heartbeat.local_fault", "no_route", "node3", 1),
    ]
    assert {line["log_level"] for line in lines} == {"warning"}
