"""Plain text for people."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pmwatchd.cli.tables import age, pairs, span, table, took


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (0, "0s"),
        (42, "42s"),
        (185, "3m 5s"),
        (180, "3m"),
        (7800, "2h 10m"),
        (7205, "2h"),
        (356400, "4d 3h"),
    ],
)
def test_a_span_shows_its_two_largest_units(duration_s: float, text: str) -> None:
    assert span(duration_s) == text


def test_an_age_is_counted_from_now_and_never_negative() -> None:
    now = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)

    assert age("2026-11-21T09:59:30.000Z", now=now) == "30s"
    assert age("2026-11-21T10:00:05.000Z", now=now) == "0s"
    assert age(None, now=now) == ""


def test_what_has_not_ended_took_no_time_yet() -> None:
    assert took("2026-11-21T09:59:30.000Z", None) == ""
    assert took("2026-11-21T09:59:30.000Z", "2026-11-21T10:00:05.000Z") == "35s"


def test_columns_are_aligned_and_empty_cells_are_marked() -> None:
    assert table(("A", "BB"), [("long", ""), ("x", "y")]) == "A     BB\nlong  -\nx     y"


def test_pairs_leave_out_what_has_no_value() -> None:
    assert pairs([("host", "n1"), ("holds", ""), ("age", "3s")]) == "host  n1\nage   3s"
