"""The scheduler: rounds, changes and misses, on real sockets."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from pmwatchd.core.events import Answered, CanaryHeard, HeartbeatsHeard, Silent, Unheard
from pmwatchd.core.model import Grace, Probe, ProbeResult, ProbeType
from pmwatchd.io.heartbeat.report import REPORT_S
from tests.io.heartbeat.scene import (
    accepting,
    deaf,
    host,
    refusing,
    running,
    tcp,
    until,
)

UNRESOLVABLE = tcp(22, "x" * 70)


async def test_the_first_answer_of_a_host_is_reported_and_then_no_more() -> None:
    async with running() as scene:
        scene.watch(host(tcp(refusing())))
        event = await scene.ear.next()
        await scene.heartbeats(ProbeResult.ALIVE, 3)

        assert isinstance(event, Answered)
        assert event.host == "node1"
        assert scene.ear.is_quiet
        last_answer_at = scene.scheduler.last_answer_at("node1")
        assert last_answer_at is not None
        assert last_answer_at > event.at


async def test_each_silent_heartbeat_is_reported() -> None:
    with deaf() as port:
        async with running() as scene:
            scene.watch(host(tcp(port), timeout_s=0.1))

            assert [await scene.ear.next() for _ in range(3)] == [Silent("node1", None)] * 3


async def test_silence_tells_the_last_answer_and_the_next_answer_is_a_change() -> None:
    port = refusing()
    watched = host(tcp(port), timeout_s=0.2)
    async with running() as scene:
        scene.watch(watched)
        await scene.ear.next()
        with deaf(port):
            silent = await scene.ear.next()
            assert silent == Silent("node1", scene.scheduler.last_answer_at("node1"))
            assert isinstance(silent, Silent)
            assert silent.last_answer_at is not None
        event = await scene.ear.next()
        while isinstance(event, Silent):
            event = await scene.ear.next()
        assert isinstance(event, Answered)
        assert event.at > silent.last_answer_at


async def test_an_answer_without_a_change_is_reported_when_asked_for() -> None:
    async with running() as scene:
        scene.watch(host(tcp(refusing())))
        first = await scene.ear.next()
        scene.scheduler.report_next("node1")
        second = await scene.ear.next()
        await scene.heartbeats(ProbeResult.ALIVE, 2)

        assert isinstance(first, Answered)
        assert isinstance(second, Answered)
        assert second.at > first.at
        assert scene.ear.is_quiet


async def test_a_local_fault_is_counted_and_logged_and_never_reported() -> None:
    with capture_logs() as lines:
        async with running() as scene:
            scene.watch(host(UNRESOLVABLE))
            await scene.heartbeats(ProbeResult.LOCAL_FAULT, 3)

            assert scene.ear.is_quiet
    assert [line["event"] for line in lines] == ["heartbeat.local_fault"]


async def test_a_local_fault_between_two_answers_is_no_change() -> None:
    async with running() as scene:
        port = refusing()
        scene.watch(host(tcp(port), timeout_s=100.0))
        await scene.ear.next()
        with deaf(port):
            await until(lambda: scene.scheduler._asking.sockets == 1)
            scene.clock.ahead_s += 1000.0
            await scene.heartbeats(ProbeResult.LOCAL_FAULT, 1)
        await scene.heartbeats(ProbeResult.ALIVE, 2)

        assert scene.ear.is_quiet


async def test_one_probe_that_answers_is_enough() -> None:
    with deaf() as port:
        async with running() as scene:
            alive = host(tcp(port), tcp(refusing()))

            assert await scene.scheduler.probe(alive) is ProbeResult.ALIVE


async def test_where_all_must_answer_one_silent_probe_is_silence() -> None:
    with deaf() as port:
        async with running() as scene:
            half = host(tcp(refusing()), tcp(port), timeout_s=0.1, require_all=True)

            assert await scene.scheduler.probe(half) is ProbeResult.SILENT


async def test_silence_beside_a_local_fault_is_a_local_fault() -> None:
    with deaf() as port:
        async with running() as scene:
            half = host(UNRESOLVABLE, tcp(port), timeout_s=0.1)

            assert await scene.scheduler.probe(half) is ProbeResult.LOCAL_FAULT


@pytest.mark.parametrize(
    ("late_intervals", "result"), [(1.5, ProbeResult.SILENT), (2.5, ProbeResult.LOCAL_FAULT)]
)
async def test_a_timeout_seen_too_late_is_no_silence(
    late_intervals: float, result: ProbeResult
) -> None:
    with deaf() as port:
        async with running() as scene:
            waiting = asyncio.create_task(
                scene.scheduler.probe(host(tcp(port), timeout_s=100.0, interval_s=60.0))
            )
            await until(lambda: scene.scheduler._asking.sockets == 1)
            scene.clock.ahead_s += 100.0 + late_intervals * 60.0

            assert await waiting is result


async def test_an_answer_that_lay_waiting_while_we_were_late_is_an_answer() -> None:
    with accepting() as port:
        async with running() as scene:
            waiting = asyncio.create_task(scene.scheduler.probe(host(tcp(port))))
            await asyncio.sleep(0)
            scene.clock.ahead_s += 3600.0

            assert await waiting is ProbeResult.ALIVE


async def test_a_host_that_we_asked_late_is_given_time_to_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    asked = host(
        Probe(type=ProbeType.HTTP, address="127.0.0.1", port=port), timeout_s=4.0, interval_s=10.0
    )
    async with server, running() as scene:
        waiting = asyncio.create_task(scene.scheduler.probe(asked))
        await asyncio.sleep(0)
        scene.clock.ahead_s += 4.0  # connected long ago, but our request goes out only now

        assert await waiting is ProbeResult.ALIVE


async def test_an_unchanged_host_keeps_its_last_answer_when_others_change() -> None:
    async with running() as scene:
        watched = host(tcp(refusing()))
        scene.watch(watched)
        await scene.ear.next()
        scene.watch(replace(watched, labels={"rack": "r1"}), host(tcp(refusing()), name="node2"))
        event = await scene.ear.next()
        await scene.heartbeats(ProbeResult.ALIVE, 4)

        assert isinstance(event, Answered)
        assert event.host == "node2"
        assert scene.ear.is_quiet


async def test_an_unchanged_host_keeps_the_heartbeat_under_way() -> None:
    with deaf() as port:
        async with running() as scene:
            watched = host(tcp(port))
            scene.watch(watched)
            await until(lambda: scene.scheduler._asking.sockets == 1)
            scene.watch(replace(watched, labels={"rack": "r1"}))

            assert scene.scheduler._asking.sockets == 1


async def test_a_host_that_changes_its_probes_begins_anew() -> None:
    async with running() as scene:
        scene.watch(host(tcp(refusing())))
        await scene.ear.next()
        scene.watch(host(tcp(refusing())))

        assert scene.scheduler.last_answer_at("node1") is None
        assert isinstance(await scene.ear.next(), Answered)


async def test_a_host_that_changes_only_its_pace_keeps_its_last_answer() -> None:
    async with running() as scene:
        port = refusing()
        scene.watch(host(tcp(port)))
        await scene.ear.next()
        scene.watch(host(tcp(port), interval_s=0.2))
        await scene.heartbeats(ProbeResult.ALIVE, 2)

        assert scene.ear.is_quiet


async def test_a_host_that_changes_only_its_pace_is_still_known_not_to_have_been_heard() -> None:
    async with running() as scene:
        port = refusing()
        node = host(tcp(port), timeout_s=0.5)
        scene.watch(node)
        await scene.ear.next()
        with deaf(port):
            await until(lambda: scene.scheduler._asking.sockets == 1)
            scene.clock.ahead_s += 1000.0
            await scene.heartbeats(ProbeResult.LOCAL_FAULT, 1)
            scene.watch(replace(node, heartbeat=replace(node.heartbeat, interval_s=0.2)))
            silent = await scene.ear.next()

        assert isinstance(silent, Silent)
        assert silent.last_answer_at is not None
        assert silent.deaf_until > silent.last_answer_at + 900.0
        assert silent.deaf_since == pytest.approx(silent.last_answer_at, abs=1.0)


async def test_what_a_local_fault_hid_is_told_with_the_next_silence_and_only_once() -> None:
    async with running() as scene:
        port = refusing()
        scene.watch(host(tcp(port), timeout_s=0.2))
        await scene.ear.next()
        with deaf(port):
            await until(lambda: scene.scheduler._asking.sockets == 1)
            scene.clock.ahead_s += 1000.0
            await scene.heartbeats(ProbeResult.LOCAL_FAULT, 1)
            first, second = await scene.ear.next(), await scene.ear.next()

        assert isinstance(first, Silent)
        assert first.deaf_until - first.deaf_since > 900.0
        assert isinstance(second, Silent)
        assert second.deaf_until < 0.0


async def test_a_dead_host_with_a_probe_that_cannot_be_tried_is_not_thought_up_for_ever() -> None:
    async with running() as scene:
        port = refusing()
        node = host(UNRESOLVABLE, tcp(port), timeout_s=0.1)
        scene.watch(replace(node, grace=Grace(period_s=0.3, failures=3)))
        assert isinstance(await scene.ear.next(), Answered)
        with deaf(port):
            unheard = await scene.ear.next()
        answered = await scene.ear.next()

    assert isinstance(unheard, Unheard)
    assert unheard.fault
    assert isinstance(answered, Answered)


async def test_what_a_fresh_heartbeat_has_heard_makes_later_faults_news_again() -> None:
    async with running() as scene:
        port = refusing()
        unsure = host(UNRESOLVABLE, tcp(port), timeout_s=0.1)
        node = replace(unsure, grace=Grace(period_s=0.3, failures=3))
        scene.watch(node)
        assert isinstance(await scene.ear.next(), Answered)
        with deaf(port):
            assert isinstance(await scene.ear.next(), Unheard)
            scene.scheduler._remember(node, scene.clock())  # as its answer to a fresh one is
            assert isinstance(await scene.ear.next(), Unheard)


async def test_a_removed_host_is_forgotten_with_what_is_under_way() -> None:
    with deaf() as port:
        async with running() as scene:
            scene.watch(host(tcp(port)))
            await until(lambda: scene.scheduler._asking.sockets == 1)
            scene.watch()

            assert scene.scheduler._asking.sockets == 0
            assert scene.scheduler.last_answer_at("node1") is None


async def test_a_fresh_heartbeat_that_is_answered_counts_as_an_answer_of_the_host() -> None:
    async with running() as scene:
        watched = host(tcp(refusing()), interval_s=3600.0)
        scene.watch(watched)
        await scene.scheduler.probe(watched)

        assert scene.scheduler.last_answer_at("node1") is not None


async def test_a_fresh_heartbeat_that_nobody_awaits_is_given_up() -> None:
    with deaf() as port:
        async with running() as scene:
            waiting = asyncio.create_task(scene.scheduler.probe(host(tcp(port))))
            await until(lambda: scene.scheduler._asking.sockets == 1)
            waiting.cancel()
            await until(lambda: scene.scheduler._asking.sockets == 0)


async def test_rounds_are_spread_over_the_interval() -> None:
    async with running() as scene:
        port = refusing()
        began_at = scene.clock()
        scene.watch(*(host(tcp(port), name=f"node{n}", interval_s=2.0) for n in range(200)))
        await scene.heartbeats(ProbeResult.ALIVE, 200)
        took_s = scene.clock() - began_at

        assert len(scene.counts.delays) > 20
        assert len(scene.ear.reports) <= took_s / REPORT_S + 1


async def test_more_hosts_than_descriptors_wait_for_their_turn() -> None:
    with accepting() as port:
        async with running() as scene:
            scene.scheduler._sockets_max = 3
            scene.watch(*(host(tcp(port), name=f"node{n}", interval_s=0.5) for n in range(60)))
            heard = {(await scene.ear.next()).host for _ in range(60)}

            assert len(heard) == 60
            assert scene.counts.results.keys() == {ProbeResult.ALIVE}


async def test_probes_never_take_more_descriptors_than_there_are() -> None:
    with deaf() as port:
        async with running() as scene:
            scene.scheduler._sockets_max = 3
            scene.watch(*(host(tcp(port), name=f"node{n}") for n in range(60)))
            await until(lambda: len(scene.scheduler._queue) == 57)

            assert scene.scheduler._asking.sockets == 3


async def test_a_bug_in_the_listener_ends_the_run() -> None:
    def buggy(_: HeartbeatsHeard | CanaryHeard) -> None:
        raise ZeroDivisionError

    async with running(buggy) as scene:
        scene.watch(host(tcp(refusing())))
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(scene.running, 10)


async def test_a_bug_in_a_probe_ends_the_run() -> None:
    async with running() as scene:
        scene.watch(host(tcp(port=-1)))
        with pytest.raises(OverflowError):
            await asyncio.wait_for(scene.running, 10)


async def test_who_waits_for_a_fresh_heartbeat_is_cancelled_at_the_end() -> None:
    with deaf() as port:
        async with running() as scene:
            waiting = asyncio.create_task(scene.scheduler.probe(host(tcp(port))))
            await until(lambda: scene.scheduler._asking.sockets == 1)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(RuntimeError):
            await scene.scheduler.probe(host(tcp(port)))


def test_it_runs_under_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop", reason="needs the extra `fast`")

    async def play() -> list[str]:
        with accepting() as port, deaf() as deaf_port:
            async with running() as scene:
                scene.watch(host(tcp(port)), host(tcp(deaf_port), name="node2", timeout_s=0.1))
                events = [await scene.ear.next() for _ in range(2)]
                return sorted(event.host for event in events)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(play()) == ["node1", "node2"]
