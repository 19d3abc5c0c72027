"""The daemon itself, its metrics, and errors in one shape."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from pmwatchd.core.model import Alert
from pmwatchd.core.views import HostView, RaisedAlert
from pmwatchd.errors import Fault
from pmwatchd.ports import Reloaded
from tests.api.room import Room
from tests.observe.fleet import operation, silent, up


async def test_the_fleet_is_shown_at_a_glance(room: Room) -> None:
    room.desk.views = [up("node1"), up("node2"), silent("node3")]
    room.desk.running = [operation()]
    room.desk.raised = (
        RaisedAlert(name=Alert.INVENTORY_REFUSED, since_at=5.0, reason="rack1.toml"),
    )
    shown = await room.ask("GET", "/status")

    counts = shown["hosts"]
    assert isinstance(counts, dict)
    assert (counts["up"], counts["non_responsive"], counts["failed"]) == (2, 1, 0)
    assert shown["version"] == "9.9"
    assert (shown["ready"], shown["journal_writable"]) == (True, True)
    assert (shown["holds"], shown["operations_open"]) == ({"startup": 1}, 1)
    assert shown["alerts"] == {"inventory_refused": 1, "unfenced": 1}


@pytest.mark.parametrize(("age_s", "status"), [(0.5, 200), (29.0, 200), (31.0, 503)])
async def test_it_is_live_while_the_engine_makes_progress(
    room: Room, age_s: float, status: int
) -> None:
    room.desk.condition = replace(room.desk.condition, last_pass_age_s=age_s)

    assert (await room.client.get("/healthz")).status == status


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
async def test_it_is_ready_once_the_engine_says_so(room: Room, *, ready: bool, status: int) -> None:
    room.desk.condition = replace(room.desk.condition, ready=ready)

    assert (await room.client.get("/readyz")).status == status


async def test_metrics_come_in_the_text_format(room: Room) -> None:
    room.desk.views = [up("node1")]
    answer = await room.client.get("/metrics")
    text = await answer.text()

    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'pmwatchd_hosts{status="up"} 1.0' in text
    assert 'pmwatchd_api_requests_total{code="200",method="GET",route="/api/v1/hosts"} 0.0' in text


async def test_requests_are_counted_by_method_route_and_code(room: Room) -> None:
    await room.ask("GET", "/hosts/nobody", status=404)
    await room.client.request("PROPFIND", "/coffee/pot")

    name = "pmwatchd_api_requests_total"
    route = "/api/v1/hosts/{name}"
    assert (
        room.registry.get_sample_value(name, {"method": "GET", "route": route, "code": "404"})
        == 1.0
    )
    assert (
        room.registry.get_sample_value(
            name, {"method": "other", "route": "unmatched", "code": "404"}
        )
        == 1.0
    )


async def test_a_reload_says_what_was_added_changed_and_removed(room: Room) -> None:
    room.reloaded = Reloaded(added=("a",), changed=("b",), removed=("c",), warnings=("hm",))
    done = await room.ask("POST", "/reload", {"allow_removal": True})

    assert done == {"added": ["a"], "changed": ["b"], "removed": ["c"], "warnings": ["hm"]}
    assert room.allowed == [True]
    assert room.told[0].fields == {"by": "unknown", "action": "reload"}


async def test_a_reload_without_a_body_permits_no_large_removal(room: Room) -> None:
    await room.ask("POST", "/reload")

    assert room.allowed == [False]


async def test_a_faulty_configuration_is_refused_with_every_fault(room: Room) -> None:
    room.reloaded = Reloaded(
        faults=(
            Fault(file="a.toml", key="hosts.x.port", reason="is no number", remedy="Write 22"),
            Fault(file="b.toml", key="hosts.y", reason="twice", remedy="Remove one", host="y"),
        )
    )
    problem = await room.ask("POST", "/reload", status=422)

    assert problem["type"] == "configuration-refused"
    assert problem["detail"] == "The reload is refused for 2 faults; nothing was changed."
    assert problem["faults"] == [
        {
            "file": "a.toml",
            "key": "hosts.x.port",
            "reason": "is no number",
            "remedy": "Write 22",
            "host": None,
        },
        {
            "file": "b.toml",
            "key": "hosts.y",
            "reason": "twice",
            "remedy": "Remove one",
            "host": "y",
        },
    ]


async def test_what_is_refused_for_one_reason_is_not_called_a_fault_of_the_configuration(
    room: Room,
) -> None:
    fault = Fault(file="hosts.d", key="hosts", reason="5 of 9 would vanish", remedy="Repeat")
    room.reloaded = Reloaded(faults=(fault,))

    problem = await room.ask("POST", "/reload", status=422)

    assert problem["detail"] == "The reload is refused; nothing was changed."


@pytest.mark.parametrize("body", [{"allow_removal": "yes"}, {"force": True}])
async def test_a_reload_that_is_not_understood_does_nothing(room: Room, body: object) -> None:
    await room.ask("POST", "/reload", body, status=422)

    assert room.allowed == []


async def test_what_is_not_there_is_a_problem_too(room: Room) -> None:
    assert (await room.ask("GET", "/nothing", status=404))["type"] == "not-found"


async def test_a_wrong_method_says_which_are_possible(room: Room) -> None:
    answer = await room.client.delete("/api/v1/status")

    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]
    assert (await answer.json(content_type=None))["type"] == "method-not-allowed"


async def test_a_bug_shows_nothing_of_itself_but_is_logged(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> list[HostView]:
        raise KeyError("inner matter")

    room.desk.hosts = broken  # type: ignore[method-assign]
    with caplog.at_level(logging.ERROR):
        problem = await room.ask("GET", "/hosts", status=500)

    assert problem["type"] == "internal-error"
    assert "inner matter" not in str(problem)
    assert "inner matter" in caplog.text
