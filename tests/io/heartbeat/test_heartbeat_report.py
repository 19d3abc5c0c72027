"""Reports in bulk."""

from __future__ import annotations

from pmwatchd.core.events import Answered, HeartbeatsHeard, Silent
from pmwatchd.io.heartbeat.report import REPORT_S, Report


def test_many_hosts_are_reported_in_one_go() -> None:
    told: list[HeartbeatsHeard] = []
    report = Report(told.append)
    for number in range(100):
        report.add(Silent(f"node{number}", None), 10.0)
    report.tell(10.0)

    assert len(told) == 1
    assert len(told[0].silent) == 100


def test_reports_keep_their_distance() -> None:
    told: list[HeartbeatsHeard] = []
    report = Report(told.append)
    report.add(Silent("node1", None), 10.0)
    report.tell(10.0)
    report.add(Silent("node2", None), 10.01)
    report.tell(10.01)

    assert len(told) == 1
    assert report.due_at == 10.0 + REPORT_S
    report.tell(report.due_at)
    assert len(told) == 2


def test_one_report_never_holds_two_words_about_one_host() -> None:
    told: list[HeartbeatsHeard] = []
    report = Report(told.append)
    report.add(Silent("node1", None), 10.0)
    report.add(Answered("node1", 10.1), 10.1)
    report.tell(20.0)

    assert told == [
        HeartbeatsHeard(silent=(Silent("node1", None),)),
        HeartbeatsHeard(answered=(Answered("node1", 10.1),)),
    ]


def test_what_was_heard_of_a_forgotten_host_is_not_told() -> None:
    told: list[HeartbeatsHeard] = []
    report = Report(told.append)
    report.add(Answered("node1", 10.0), 10.0)
    report.forget({"node1"})
    report.tell(20.0)

    assert told == []
