from __future__ import annotations

import io
import json

import pytest

from pmwatchd.lab.chronicle import Chronicle, Source, heard
from pmwatchd.lab.iron import Command
from pmwatchd.lab.story import JsonStory, PlainStory
from pmwatchd.lab.verdict import Verdict

LINE: dict[str, object] = {
    "timestamp": "2026-11-21T09:00:00.000Z",
    "level": "info",
    "event": "fence.agent_executed",
    "message": "Agent bmc of node3 was asked for status by node1: ok",
    "host": "node3",
    "agent": "bmc",
    "proxy": "node1",
    "action": "status",
    "result": "ok",
    "power": "off",
}
COMMAND = Command(at=12.0, host="node3", switch="node3-bmc", action="off", by="fence@node1")


def verdict(*, ok: bool) -> Verdict:
    return Verdict(
        scenario="dead-host",
        ok=ok,
        reason="all is well" if ok else "node4 was touched",
        took_s=8.04,
        commands=((2.0, COMMAND),),
        kept=None if ok else "/somewhere",
        others=("crash",),
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def plain(out: io.StringIO, *lines: dict[str, object]) -> str:
    chronicle = Chronicle(PlainStory(out).happened)
    for line in lines:
        chronicle.daemon(line)
    return out.getvalue()


async def test_a_daemons_line_is_told_in_plain_words_with_the_time() -> None:
    assert await plain(io.StringIO(), LINE) == (
        "   0.00 s  daemon  asked bmc of node3 through node1 for its status: off\n"
    )


async def test_an_event_without_words_of_ours_is_told_in_the_daemons() -> None:
    line = {**LINE, "event": "alert.raised", "message": "Alert left_off for node3"}

    assert "Alert left_off for node3" in await plain(io.StringIO(), line)


async def test_debug_lines_are_left_out() -> None:
    debug = {**LINE, "level": "debug"}
    out = io.StringIO()
    Chronicle(JsonStory(out).happened).daemon(debug)

    assert await plain(out, debug) == ""


async def test_the_first_sign_of_life_of_each_host_is_left_to_the_summary() -> None:
    out = io.StringIO()
    chronicle = Chronicle(PlainStory(out).happened)
    answered = {**LINE, "event": "watch.answered", "message": "node3 answers"}
    chronicle.daemon(answered)
    chronicle.lab("lab.ready", "all 5 hosts answer")
    chronicle.daemon(answered)

    assert out.getvalue().count("node3 answers") == 1


async def test_colours_are_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)

    assert "\033[" not in await plain(io.StringIO(), LINE)
    assert "\033[" in await plain(Terminal(), LINE)


async def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    assert "\033[" not in await plain(Terminal(), LINE)


def test_a_good_end_shows_the_irons_record_and_what_else_there_is() -> None:
    out = io.StringIO()
    PlainStory(out).end(verdict(ok=True))

    assert "   2.00 s  node3-bmc  off  from fence@node1\n" in out.getvalue()
    assert "ok: all is well (8.0 s)" in out.getvalue()
    assert "crash" in out.getvalue()


def test_a_bad_end_says_why_and_where_to_look() -> None:
    out = io.StringIO()
    PlainStory(out).end(verdict(ok=False))

    assert "failed: node4 was touched" in out.getvalue()
    assert "/somewhere" in out.getvalue()


async def test_json_is_one_object_per_event_and_a_last_one_with_the_result() -> None:
    out = io.StringIO()
    story = JsonStory(out)
    story.begin("pmwatchd lab: dead-host", "a plot")
    chronicle = Chronicle(story.happened)
    chronicle.daemon(LINE)
    chronicle.iron("iron.hung", "node3", "node3 hangs")
    story.end(verdict(ok=False))

    documents = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [document.get("event") for document in documents] == [
        "lab.began",
        "fence.agent_executed",
        "iron.hung",
        None,
    ]
    assert documents[1]["fields"]["power"] == "off"
    assert documents[2]["host"] == "node3"
    assert ["result" in document for document in documents] == [False, False, False, True]
    assert documents[3]["result"] == "failed"
    assert documents[3]["reason"] == "node4 was touched"
    assert documents[3]["commands"] == [
        {
            "at_s": 2.0,
            "host": "node3",
            "switch": "node3-bmc",
            "action": "off",
            "by": "fence@node1",
        }
    ]


async def test_what_has_happened_already_need_not_be_waited_for() -> None:
    chronicle = Chronicle()
    chronicle.iron("iron.hung", "node3", "node3 hangs")

    assert (await chronicle.until(heard(Source.IRON, "iron.hung", "node3"))).host == "node3"


async def test_what_happened_before_an_act_does_not_count_for_it() -> None:
    chronicle = Chronicle()
    chronicle.iron("iron.running", "node3", "node3 answers")
    act = len(chronicle.happenings)
    chronicle.iron("iron.hung", "node3", "node3 hangs")
    chronicle.iron("iron.running", "node3", "node3 answers again")

    again = await chronicle.until(heard(Source.IRON, "iron.running", "node3"), after=act)
    assert again.message == "node3 answers again"
