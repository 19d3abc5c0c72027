"""Why it did, or why it waits: stories of the real core, told from what it recorded."""

from __future__ import annotations

from dataclasses import replace

from pmwatchd.core.events import PowerRequested
from pmwatchd.core.model import Action, Opinion, PowerManagement, PowerStatus
from pmwatchd.core.orders import Accepted
from pmwatchd.core.views import KeeperView, SiteView
from pmwatchd.observe import explain
from pmwatchd.observe.story import Story
from tests.core.scene import RULES, SAFETY, Scene, agent, host, hung
from tests.observe.telling import (
    host_explained,
    operation_explained,
    row_of,
    told,
    view_of,
    wall_of,
)

HELD = replace(RULES, safety=replace(SAFETY, startup_hold_s=300.0))


def lines(document: explain.Json) -> list[str]:
    return str(document["text"]).splitlines()


def items(document: explain.Json, name: str) -> list[dict[str, object]]:
    found = document[name]
    assert isinstance(found, list)
    return found


def fenced() -> Scene:
    """A host that hung was switched off and on, and came back."""
    scene = hung(agent("bmc"))
    scene.boots = True
    scene.until("fence.closed")
    scene.until("watch.answered")
    return scene


def test_a_host_that_is_simply_up_is_explained_in_three_lines() -> None:
    scene = Scene(host("node7", agent("bmc"), agent("pdu", order=2)))
    scene.run(10)
    explained = host_explained(scene)

    assert lines(explained) == [
        "node7 is up since 2026-01-01 00:16:40 UTC.",
        "Its last answer came at 2026-01-01 00:16:45 UTC.",
        "It is fenced by bmc, then pdu. No operation of it is known.",
    ]
    assert explained["looks_back_to"] is None
    assert items(explained, "would_act_when") == items(explained, "records") == []


def test_a_host_that_is_back_names_its_last_operation() -> None:
    scene = fenced()
    explained = host_explained(scene, last=row_of(scene, "op_1_1"))

    assert len(lines(explained)) == 3
    assert lines(explained)[2].endswith(
        "Its last operation op_1_1 (restart) ended 2026-01-01 00:17:06 UTC: done; see "
        "`pmwatchd explain op_1_1`."
    )


def test_what_is_up_and_would_be_held_says_by_what() -> None:
    scene = Scene(host("node7", automatic=False))
    scene.run(10)
    pause = KeeperView(by="ann", reason="switch work", until_at=4600.0)
    explained = host_explained(scene, site=SiteView(paused=pause))

    said = str(explained["text"])
    assert "It has no fence agent." in said
    assert "Alert unprotected since" in said
    holds = [one["hold"] for one in items(explained, "would_act_when")]
    assert holds == ["paused", "unprotected", "shadow"]
    assert "It waits for the end of the pause (2026-01-01 01:16:40 UTC)" in said


def test_an_operation_is_told_from_the_silence_to_the_answer() -> None:
    explained = operation_explained(fenced(), "op_1_1")

    assert lines(explained) == [
        ("Operation op_1_1: restart of node7, automatically, opened 2026-01-01 00:17:05 UTC."),
        "Its reason: silent for 20 s, beyond its grace.",
        "It ended 2026-01-01 00:17:06 UTC, after 1.1 s: done.",
        (
            "What happened since 2026-01-01 00:16:50 UTC (the last answer before it, or a day); "
            "times are UTC:"
        ),
        "  2026-01-01",
        "    00:16:50  node7 does not answer, its grace period has begun (5 s silent)",
        "    00:17:05  node7 is non-responsive, silent for 20 s",
        (
            "    00:17:05  Operation op_1_1 has begun: restart of node7, automatic by pmwatchd "
            "(silent for 20 s, beyond its grace)"
        ),
        "    00:17:05  Agent bmc of node7, status by engine: ok, power on in 0 s",
        "    00:17:05  About to ask agent bmc of node7 for off (attempt 1)",
        "    00:17:05  Agent bmc of node7, off by engine: ok in 0 s",
        (
            "    00:17:05  Agent bmc of node7, status by engine: ok, power off in 0 s "
            "(2 times, until 00:17:06)"
        ),
        "    00:17:06  node7 is proven off by group 1 after 0.9 s",
        "    00:17:06  About to ask agent bmc of node7 for on (attempt 1)",
        "    00:17:06  Agent bmc of node7, on by engine: ok in 0 s",
        "    00:17:06  Agent bmc of node7, status by engine: ok, power on in 0 s",
        "    00:17:06  node7 is proven on by group 1 after 0.2 s",
        "    00:17:06  Operation op_1_1 on node7 has ended: done after 1.1 s",
        "    00:17:15  node7 answers, it was booting for 8.8 s",
        (
            "How long it took: detect 20.0 s, hold 0.0 s, off_sent 0.1 s, off_proven 0.9 s, "
            "on_proven 0.2 s, booted 8.8 s."
        ),
    ]


def test_an_operation_is_told_in_values_as_well() -> None:
    explained = operation_explained(fenced(), "op_1_1")

    phases = {one["phase"]: one["took_s"] for one in items(explained, "phases")}
    assert phases["detect"] == 20.0
    assert list(phases) == ["detect", "hold", "off_sent", "off_proven", "on_proven", "booted"]
    assert [
        (one["action"], one["proxy"], one["power"], one["times"])
        for one in items(explained, "executions")
    ] == [
        ("status", "engine", "on", 1),
        ("off", "engine", None, 1),
        ("status", "engine", "off", 2),
        ("on", "engine", None, 1),
        ("status", "engine", "on", 1),
    ]
    assert (explained["kind"], explained["operation"]) == ("operation", "op_1_1")
    assert explained["looks_back_to"] == "2026-01-01T00:16:50.500Z"
    assert items(explained, "would_act_when") == []


def test_a_host_that_waits_says_for_what_and_since_when() -> None:
    before = fenced()
    before.run(40)  # until its quiet time is over
    scene = Scene(host("node7", agent("bmc")), rules=HELD, after=before, at=1200.0)
    scene.kill()
    scene.run(60)
    explained = host_explained(scene)

    (one,) = items(explained, "would_act_when")
    assert one["hold"] == "startup"
    assert "It waits for the end of the startup hold" in str(one["sentence"])
    (hold,) = items(explained, "holds")
    assert (hold["hold"], hold["began"], hold["ended"]) == ("startup", one["since"], None)
    said = lines(explained)
    assert said[0] == "node7 is non_responsive since 2026-01-01 00:20:20 UTC."
    assert said[1] == "It has not answered since this daemon started."
    assert "What has to change before it is fenced automatically:" in said
    assert any("(its last answer, or 7 days)" in line for line in said)


def test_a_hold_that_is_over_tells_how_long_it_was() -> None:
    scene = hung(agent("bmc"))
    scene.hosts["node7"] = replace(scene.hosts["node7"], engine=True)
    scene.load(scene.hosts["node7"])
    scene.until("hold.began")
    scene.run(12)
    scene.load(replace(scene.hosts["node7"], engine=False))
    (hold,) = items(host_explained(scene), "holds")

    assert hold["hold"] == "self"
    assert hold["reason"] == "this daemon runs on the host"
    assert isinstance(hold["took_s"], float)
    assert 12 <= hold["took_s"] <= 14


def test_a_hold_that_a_restart_cut_off_has_no_end() -> None:
    scene = hung(agent("bmc"))
    scene.run(25)
    began = {**told(scene)[0], "event": "hold.began", "hold": "storm", "reason": "7 of 9"}
    story = Story()
    story.add([began, {**began, "event": "hold.ended"}, began, began])
    story.add([{**began, "event": "hold.ended", "hold": "budget"}])
    about = explain.About(
        name="node7", host="node7", view=view_of(scene), site=SiteView(), wall_of=wall_of
    )
    holds = items(explain.document(about, story), "holds")

    known = [(one["hold"], one["began"] is None, one["took_s"]) for one in holds]
    assert sorted(known, key=str) == [
        ("budget", True, None),
        ("storm", False, 0.0),
        ("storm", False, None),
        ("storm", False, None),
    ]


def test_what_witnesses_said_is_counted_and_holds() -> None:
    suspect = host(
        "node7", power_management=PowerManagement(agents=(agent("bmc"),), proxies=("cluster",))
    )
    scene = Scene(suspect, host("node2"), host("node3"))
    scene.opinions = {"node2": Opinion.ALIVE, "node3": Opinion.SILENT}
    scene.run(10)
    scene.kill()
    scene.run(60)
    explained = host_explained(scene)

    said = {(one["by"], one["opinion"]) for one in items(explained, "votes")}
    assert said == {("node2", "alive"), ("node3", "silent")}
    assert max(int(str(one["times"])) for one in items(explained, "votes")) >= 3
    (one,) = items(explained, "would_act_when")
    assert one["hold"] == "seen_by_others"
    assert "node2 was asked whether it reaches node7: alive (" in str(explained["text"])


def test_a_host_that_is_switched_off_by_a_person_is_told_from_the_command_on() -> None:
    scene = Scene(host("node7", agent("bmc")))
    scene.switches["node7", "bmc"].took_s = 7.0  # it still answers when the command has begun
    scene.run(10)
    answer = scene.ask(
        lambda number: PowerRequested(
            request=number, host="node7", action=Action.OFF, by="ann", reason="memory"
        )
    )
    assert answer == Accepted(operation="op_1_1")
    scene.until("fence.closed")
    scene.run(60)
    explained = host_explained(scene, last=row_of(scene, "op_1_1"))

    assert "(its last operation)" in str(explained["text"])
    assert items(explained, "records")[0]["event"] == "fence.opened"
    assert [one["hold"] for one in items(explained, "would_act_when")] == ["maintenance"]
    assert scene.switches["node7", "bmc"].power is PowerStatus.OFF


def test_an_operation_under_way_says_what_it_does() -> None:
    scene = hung(agent("bmc"))
    scene.until("fence.intended")
    explained = operation_explained(scene, "op_1_1")

    said = str(explained["text"])
    assert "Operation op_1_1 reads its power, switches it off and sees it off." in said
    assert "It ended" not in said


def test_an_operation_of_a_host_that_is_gone_is_still_told() -> None:
    scene = fenced()
    scene.load()
    explained = operation_explained(scene, "op_1_1")

    assert explained["now"] is None
    assert "node7 is not watched any more." in lines(explained)
    assert len(items(explained, "records")) > 10
