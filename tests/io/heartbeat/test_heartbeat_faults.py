"""Local faults are told."""

from __future__ import annotations

import math
from dataclasses import replace

from structlog.testing import capture_logs

from pmwatchd.core.events import Answered, HeartbeatsHeard, Silent, Unheard
from pmwatchd.core.model import Grace, ProbeResult
from pmwatchd.core.orders import Record
from pmwatchd.io.heartbeat.beat import Beat, Watched
from pmwatchd.io.heartbeat.faults import AGAIN_S, FaultLog
from pmwatchd.io.heartbeat.report import Report
from pmwatchd.io.heartbeat.sign import ALIVE, SILENT, local_fault
from tests.io.heartbeat.scene import host, tcp


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


NODE = replace(host(tcp(22), tcp(23)), grace=Grace(period_s=10.0, failures=3), extra_grace_s=5.0)
FAULT = local_fault("unresolvable")


def spoilt(watched: Watched, at: float) -> object:
    """One probe cannot be tried from here, and the other brings silence."""
    beat = Beat(watched.host, began_at=at)
    beat.heard(FAULT, at)
    assert beat.heard(SILENT, at) is ProbeResult.LOCAL_FAULT
    return watched.conclude(beat, ProbeResult.LOCAL_FAULT, at)


def alive(watched: Watched, at: float) -> object:
    beat = Beat(watched.host, began_at=at)
    result = beat.heard(ALIVE, at)
    assert result is ProbeResult.ALIVE
    return watched.conclude(beat, result, at)


def test_nothing_but_faults_for_longer_than_its_grace_is_told_once_with_the_fault() -> None:
    watched = Watched(NODE, 0.0)
    alive(watched, 0.0)
    told = [spoilt(watched, at) for at in (5.0, 10.0, 15.0, 20.0, 25.0, 30.0)]

    assert told == [None, None, None, None, Unheard("node1", "unresolvable"), None]


def test_the_first_answer_after_that_is_told() -> None:
    watched = Watched(NODE, 0.0)
    alive(watched, 0.0)
    for at in (5.0, 25.0):
        spoilt(watched, at)

    assert alive(watched, 30.0) == Answered("node1", 30.0)
    assert alive(watched, 35.0) is None
    assert [spoilt(watched, at) for at in (40.0, 60.0)] == [None, Unheard("node1", "unresolvable")]


def test_one_heartbeat_that_tells_begins_the_time_of_faults_anew() -> None:
    watched = Watched(NODE, 0.0)
    spoilt(watched, 0.0)
    silent = watched.conclude(Beat(NODE, began_at=14.0), ProbeResult.SILENT, 15.0)

    assert silent == Silent("node1", None, -math.inf, 0.0)
    assert [spoilt(watched, at) for at in (20.0, 35.0)] == [None, None]
    assert spoilt(watched, 36.0) == Unheard("node1", "unresolvable")


def test_that_nothing_is_heard_is_reported_and_forgotten_with_the_host() -> None:
    heard: list[HeartbeatsHeard] = []
    report = Report(heard.append)
    for name in ("node1", "node2"):
        report.add(Unheard(name, "no_route"), 0.0)
    report.forget({"node1"})
    report.tell(1.0)

    assert heard == [HeartbeatsHeard(unheard=(Unheard("node2", "no_route"),))]
