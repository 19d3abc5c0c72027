"""A person's words for the whole site, and the acknowledgement of a parked host."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pmwatchd.core.events import (
    AckRequested,
    OverrideEndRequested,
    OverrideRequested,
    PauseRequested,
    ResumeRequested,
)
from pmwatchd.core.model import Alert
from pmwatchd.core.orders import Refused
from pmwatchd.core.views import KeeperView, RaisedAlert, SiteView
from tests.api.room import Room
from tests.observe.fleet import START, host, up

PLACES = ("/pause", "/override/storm")
ANN = KeeperView(by="ann", reason="switch upgrade", until_at=60.0)
SHOWN = {"by": "ann", "reason": "switch upgrade", "until": "2026-01-01T00:01:00.000Z"}
NOBODY = {"by": None, "reason": None, "until": None}


async def test_a_pause_is_asked_for_with_owner_reason_and_end(room: Room) -> None:
    room.desk.said = SiteView(paused=ANN)
    shown = await room.ask("PUT", "/pause", {"reason": "switch upgrade", "for": "30m"})

    assert shown == {"paused": True, **SHOWN}
    [event] = room.desk.asked
    assert event == PauseRequested(
        request=7,
        by="unknown",
        reason="switch upgrade",
        for_s=1800,
        expires_at=START + timedelta(minutes=30),
    )
    assert [(record.event, dict(record.fields)) for record in room.told] == [
        ("api.command", {"by": "unknown", "action": "pause", "reason": "switch upgrade"})
    ]


async def test_a_pause_may_be_given_its_end_instead_of_its_length(room: Room) -> None:
    for text in ("2026-01-01T02:00:00Z", "2026-01-01T07:30:00+05:30", "2026-01-01T02:00:00"):
        await room.ask("PUT", "/pause", {"reason": "x", "expires_at": text})

    assert {
        (event.for_s, event.expires_at)
        for event in room.desk.asked
        if isinstance(event, PauseRequested)
    } == {(7200.0, datetime(2026, 1, 1, 2, tzinfo=UTC))}
    assert len(room.desk.asked) == 3


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"reason": "x"}, "must end by itself"),
        ({"reason": "x", "for": None}, "must end by itself"),
        ({"for": "30m"}, "reason is needed"),
        ({"reason": " ", "for": "30m"}, "reason is needed"),
        ({"reason": "x", "for": "30m", "expires_at": "2026-01-01T02:00:00Z"}, "say the same"),
        ({"reason": "x", "for": 0}, "above 0"),
        ({"reason": "x", "for": "31d"}, "at most 30d"),
        ({"reason": "x", "for_s": 2592001}, "at most 30d"),
        ({"reason": "x", "for": "a while"}, "must be a duration"),
        ({"reason": "x", "for": True}, "must be a duration"),
        ({"reason": "x", "expires_at": "2025-12-31T23:59:59Z"}, "must lie ahead"),
        ({"reason": "x", "expires_at": "2026-01-31T00:00:01Z"}, "at most 30d"),
        ({"reason": "x", "expires_at": "9999-12-31T23:59:59-12:00"}, "at most 30d"),
        ({"reason": "x", "expires_at": "tomorrow"}, "must be an instant"),
        ({"reason": "x", "expires_at": 5}, "must be an instant"),
        ({"reason": "x", "for": "1m", "until": "noon"}, "Not understood: until"),
    ],
)
async def test_a_word_for_the_site_has_a_reason_and_an_end_within_30_days(
    room: Room, place: str, body: dict[str, object], said: str
) -> None:
    problem = await room.ask("PUT", place, body, status=422)

    assert said in str(problem["detail"])
    assert room.desk.asked == []


@pytest.mark.parametrize("span", ["30d", 1, "500ms"])
async def test_any_length_up_to_30_days_will_do(room: Room, span: object) -> None:
    await room.ask("PUT", "/pause", {"reason": "x", "for": span})

    assert len(room.desk.asked) == 1


async def test_it_can_be_read_whether_there_is_a_pause_or_an_override(room: Room) -> None:
    assert await room.ask("GET", "/pause") == {"paused": False, **NOBODY}
    assert await room.ask("GET", "/override/storm") == {"overridden": False, **NOBODY}
    room.desk.said = SiteView(paused=ANN, override=ANN)

    assert await room.ask("GET", "/pause") == {"paused": True, **SHOWN}
    assert await room.ask("GET", "/override/storm") == {"overridden": True, **SHOWN}


async def test_a_pause_is_ended_by_a_person(room: Room) -> None:
    assert await room.ask("DELETE", "/pause") == {"paused": False, **NOBODY}

    assert room.desk.asked == [ResumeRequested(request=7, by="unknown")]
    assert [record.fields["action"] for record in room.told] == ["resume"]


async def test_a_storm_is_overridden_for_a_time_and_the_word_can_be_taken_back(room: Room) -> None:
    await room.ask("PUT", "/override/storm", {"reason": "rack burnt", "for": "10m"})
    await room.ask("DELETE", "/override/storm")

    assert room.desk.asked == [
        OverrideRequested(
            request=7,
            by="unknown",
            reason="rack burnt",
            for_s=600,
            expires_at=START + timedelta(minutes=10),
        ),
        OverrideEndRequested(request=7, by="unknown"),
    ]


@pytest.mark.parametrize(
    ("method", "place", "body", "kind"),
    [
        ("DELETE", "/pause", None, "not-paused"),
        ("DELETE", "/override/storm", None, "not-overridden"),
        ("PUT", "/pause", {"reason": "x", "for": "1m"}, "journal-unwritable"),
        ("PUT", "/override/storm", {"reason": "x", "for": "1m"}, "journal-unwritable"),
        ("POST", "/hosts/node1/ack", {}, "not-parked"),
    ],
)
async def test_a_refusal_is_a_conflict_that_names_itself_and_is_told(
    room: Room, method: str, place: str, body: object, kind: str
) -> None:
    room.desk.views = [up("node1")]
    room.desk.answer = Refused(type=kind, reason="because")
    problem = await room.ask(method, place, body, status=409)

    assert (problem["type"], problem["detail"]) == (kind, "because")
    assert [record.event for record in room.told] == ["api.command", "api.denied"]


async def test_a_person_acknowledges_a_parked_host(room: Room) -> None:
    room.desk.views = [up("node1")]
    shown = await room.ask("POST", "/hosts/node1/ack", {"reason": "new power supply"})

    assert shown["name"] == "node1"
    assert room.desk.asked == [
        AckRequested(request=7, host="node1", by="unknown", reason="new power supply")
    ]
    [record] = room.told
    assert (record.host, record.fields["action"]) == ("node1", "ack")


async def test_a_host_that_is_not_watched_cannot_be_acknowledged(room: Room) -> None:
    problem = await room.ask("POST", "/hosts/nobody/ack", status=404)

    assert problem["type"] == "unknown-host"
    assert room.desk.asked == []


async def test_the_status_of_the_fleet_shows_the_words_for_the_site_and_its_alerts(
    room: Room,
) -> None:
    calm = await room.ask("GET", "/status")
    storm = RaisedAlert(name=Alert.STORM, since_at=5.0, reason="7 of 9 hosts of rack r12 silent")
    room.desk.raised = (storm,)
    room.desk.said = SiteView(automatic=False, paused=ANN, override=ANN)
    rough = await room.ask("GET", "/status")

    assert (calm["automatic"], calm["pause"], calm["override"]) == (True, None, {"storm": None})
    assert (rough["automatic"], rough["pause"]) == (False, SHOWN)
    assert rough["override"] == {"storm": SHOWN}
    assert rough["alerts"] == {"storm": 1}
    assert rough["site_alerts"] == [
        {
            "name": "storm",
            "since": "2026-01-01T00:00:05.000Z",
            "reason": "7 of 9 hosts of rack r12 silent",
        }
    ]


async def test_a_host_that_is_only_watched_says_so(room: Room) -> None:
    room.desk.views = [up("node1", host=host("node1", automatic=False)), up("node2")]

    assert (await room.ask("GET", "/hosts/node1"))["automatic"] is False
    assert (await room.ask("GET", "/hosts/node2"))["automatic"] is True
