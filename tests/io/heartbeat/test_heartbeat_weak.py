"""Weak signs and strong ones: behaviour.md section 1."""

from __future__ import annotations

import asyncio

import pytest

from pmwatchd.core.events import Answered, Silent
from pmwatchd.core.model import Probe, ProbeResult, ProbeType
from pmwatchd.io.heartbeat.beat import Beat, Watched
from pmwatchd.io.heartbeat.sign import ALIVE, SILENT, WEAK, Sign, local_fault
from tests.io.heartbeat.scene import (
    accepting,
    deaf,
    host,
    refusing,
    running,
    saying,
    ssh,
    tcp,
    until,
)

BANNER = b"SSH-2.0-imitated\r\n"
FAULT = local_fault("no_route")
Ended = tuple[ProbeResult | None, bool | None]


def heard(*signs: Sign, require_all: bool = False, weak_is_silent: bool = False) -> Ended:
    """Let the probes of a host that has tcp and ssh end like this, in this order."""
    probes = (tcp(1), ssh(22))
    asked = host(*probes, require_all=require_all, weak_is_silent=weak_is_silent)
    beat = Beat(asked, began_at=0.0)
    result = None
    for at, sign in enumerate(signs):
        result = beat.heard(sign, float(at))
    return result, beat.weak


def test_words_are_a_strong_sign_and_end_the_heartbeat() -> None:
    assert heard(ALIVE) == (ProbeResult.ALIVE, False)
    assert heard(WEAK, ALIVE) == (ProbeResult.ALIVE, False)


def test_a_weak_sign_waits_for_a_strong_one() -> None:
    assert heard(WEAK)[0] is None


@pytest.mark.parametrize("other", [WEAK, SILENT])
def test_weak_signs_alone_are_a_weak_answer(other: Sign) -> None:
    assert heard(other, WEAK) == (ProbeResult.ALIVE, True)
    assert heard(WEAK, other) == (ProbeResult.ALIVE, True)


def test_where_a_local_fault_may_have_hidden_a_strong_sign_nobody_calls_it_weak() -> None:
    assert heard(WEAK, FAULT) == (ProbeResult.ALIVE, None)
    assert heard(WEAK, FAULT, weak_is_silent=True)[0] is ProbeResult.LOCAL_FAULT


def test_a_local_fault_leaves_it_as_weak_as_it_was() -> None:
    asked = host(tcp(1), ssh(22))
    watched = Watched(asked, due_at=0.0)
    weak, unsure = Beat(asked, began_at=1.0), Beat(asked, began_at=2.0)
    weak.heard(WEAK, 1.0)
    weak.weak, unsure.weak = True, None

    assert watched.conclude(weak, ProbeResult.ALIVE, 1.0) == Answered("node1", 1.0, weak=True)
    assert watched.conclude(unsure, ProbeResult.ALIVE, 2.0) is None
    assert watched.weak


def test_a_heartbeat_that_waited_for_words_tells_when_it_was_answered() -> None:
    asked = host(tcp(1), ssh(22))
    watched = Watched(asked, due_at=0.0)
    beat = Beat(asked, began_at=1.0)
    beat.heard(WEAK, 1.1)
    beat.heard(SILENT, 3.0)

    assert watched.conclude(beat, ProbeResult.ALIVE, 3.0) == Answered("node1", 1.1, weak=True)
    assert watched.last_answer_at == 1.1


def test_after_a_silence_nobody_knows_how_weak_it_is_until_it_is_heard() -> None:
    asked = host(tcp(1), ssh(22))
    watched = Watched(asked, due_at=0.0, answered=True, weak=True)
    watched.conclude(Beat(asked, began_at=1.0), ProbeResult.SILENT, 1.0)
    unsure = Beat(asked, began_at=2.0)
    unsure.heard(WEAK, 2.0)
    unsure.heard(FAULT, 2.0)

    assert watched.conclude(unsure, ProbeResult.ALIVE, 2.0) == Answered("node1", 2.0, weak=None)


@pytest.mark.parametrize("other", [WEAK, SILENT])
def test_where_weak_is_silent_weak_signs_alone_are_silence(other: Sign) -> None:
    assert heard(WEAK, other, weak_is_silent=True)[0] is ProbeResult.SILENT


def test_where_weak_is_silent_a_strong_sign_is_enough() -> None:
    assert heard(WEAK, ALIVE, weak_is_silent=True) == (ProbeResult.ALIVE, False)
    assert heard(WEAK, ALIVE, weak_is_silent=True, require_all=True)[0] is ProbeResult.ALIVE


def test_where_all_must_answer_one_strong_sign_among_them_is_strong() -> None:
    assert heard(WEAK, ALIVE, require_all=True) == (ProbeResult.ALIVE, False)
    assert heard(WEAK, WEAK, require_all=True) == (ProbeResult.ALIVE, True)
    assert heard(WEAK, SILENT, require_all=True)[0] is ProbeResult.SILENT


@pytest.mark.parametrize("kind", [ProbeType.TCP, ProbeType.ICMP])
def test_a_host_without_a_probe_that_asks_for_words_is_never_weak(kind: ProbeType) -> None:
    asked = host(Probe(type=kind, address="127.0.0.1", port=1), weak_is_silent=True)
    beat = Beat(asked, began_at=0.0)

    assert (beat.heard(WEAK, 0.0), beat.weak) == (ProbeResult.ALIVE, False)


async def test_an_accepted_a_refused_and_a_dropped_connection_are_weak() -> None:
    async with saying(b"", then_closes=True) as closing, running() as scene:
        for probe in (ssh(refusing()), ssh(closing)):
            scene.watch(host(probe))
            event = await scene.ear.next()

            assert isinstance(event, Answered)
            assert event.weak


async def test_a_banner_is_strong_beside_a_bare_accept() -> None:
    with accepting() as port:
        async with saying(BANNER) as talking, running() as scene:
            scene.watch(host(tcp(port), ssh(talking)))
            event = await scene.ear.next()

            assert isinstance(event, Answered)
            assert not event.weak


async def test_weak_signs_of_a_hung_host_are_reported_when_its_time_is_over() -> None:
    with accepting() as port:
        async with running() as scene:
            scene.watch(host(tcp(port), ssh(port), timeout_s=0.1))
            event = await scene.ear.next()
            await scene.heartbeats(ProbeResult.ALIVE, 2)

            assert isinstance(event, Answered)
            assert event.weak
            assert scene.ear.is_quiet


async def test_a_weak_host_that_changes_only_its_pace_is_not_reported_again() -> None:
    probe = ssh(refusing())
    async with running() as scene:
        scene.watch(host(probe))
        await scene.ear.next()
        scene.watch(host(probe, interval_s=0.2))
        await scene.heartbeats(ProbeResult.ALIVE, 2)

        assert scene.ear.is_quiet


async def test_strong_to_weak_and_weak_to_strong_are_changes() -> None:
    with accepting() as open_port:
        async with running() as scene:
            async with saying(BANNER) as port:
                scene.watch(host(tcp(open_port), ssh(port)))
                first = await scene.ear.next()
            second = await scene.ear.next()  # nobody listens any more: refused
            await scene.heartbeats(ProbeResult.ALIVE, 2)
            assert scene.ear.is_quiet

            server = await asyncio.start_server(_greet, "127.0.0.1", port)
            third = await scene.ear.next()
            server.close()

    events = [first, second, third]
    assert [isinstance(event, Answered) and event.weak for event in events] == [False, True, False]


async def test_where_weak_is_silent_a_hung_host_is_silent_for_everything() -> None:
    with accepting() as port:
        async with running() as scene:
            hung = host(tcp(port), ssh(port), timeout_s=0.1, weak_is_silent=True)
            scene.watch(hung)

            assert await scene.ear.next() == Silent("node1", None)
            assert await scene.scheduler.probe(hung) is ProbeResult.SILENT
            assert scene.scheduler.last_answer_at("node1") is None


async def test_a_weak_sign_counts_as_an_answer_before_the_strong_one_is_given_up() -> None:
    with deaf() as port:
        async with running() as scene:
            scene.watch(host(tcp(refusing()), ssh(port), timeout_s=60.0))
            await until(lambda: scene.scheduler.last_answer_at("node1") is not None)

            assert scene.scheduler._asking.sockets == 1
            assert scene.ear.is_quiet


async def _greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(BANNER)
    writer.close()
