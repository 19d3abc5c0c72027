"""Canaries: behaviour.md section 3, hold 6."""

from __future__ import annotations

import asyncio
import os

import pytest

from pmwatchd.core.events import CanaryHeard
from pmwatchd.core.model import Probe, ProbeResult
from pmwatchd.errors import CapabilityError
from pmwatchd.io.heartbeat.beat import Beat
from pmwatchd.io.heartbeat.canary import Canary, as_host
from tests.io.heartbeat.scene import Scene, deaf, host, icmp, refusing, running, tcp, until

ALIVE, SILENT, FAULT = ProbeResult.ALIVE, ProbeResult.SILENT, ProbeResult.LOCAL_FAULT


def watch(scene: Scene, *probes: Probe, timeout_s: float = 0.1) -> None:
    scene.scheduler.watch_canaries(probes, interval_s=0.1, timeout_s=timeout_s)


def told(*results: ProbeResult) -> list[bool]:
    """Say what is told of a canary whose heartbeats end like this."""
    asked = as_host(tcp(53, "10.0.0.1"), interval_s=5.0, timeout_s=2.0)
    canary = Canary(asked, due_at=0.0)
    events = [canary.conclude(Beat(asked, began_at=0.0), result, 1.0) for result in results]
    assert {event.canary for event in events if event is not None} <= {"tcp://10.0.0.1:53"}
    return [event.answers for event in events if event is not None]


def test_a_canary_is_told_at_first_and_when_it_changes() -> None:
    assert told(ALIVE, ALIVE, ALIVE) == [True]
    assert told(ALIVE, SILENT, SILENT, SILENT, ALIVE, ALIVE) == [True, False, True]


def test_one_miss_is_no_silence() -> None:
    assert told(SILENT) == []
    assert told(SILENT, SILENT) == [False]
    assert told(ALIVE, SILENT, ALIVE, SILENT, ALIVE) == [True]


def test_a_local_fault_is_the_illness_that_canaries_are_for() -> None:
    assert told(ALIVE, FAULT, SILENT) == [True, False]
    assert told(FAULT, FAULT) == [False]


async def test_a_canary_falls_silent_and_comes_back() -> None:
    port = refusing()
    words = f"tcp://127.0.0.1:{port}"
    async with running() as scene:
        watch(scene, tcp(port))
        assert await scene.ear.next_canary() == CanaryHeard(words, answers=True)
        with deaf(port):
            assert await scene.ear.next_canary() == CanaryHeard(words, answers=False)
        assert await scene.ear.next_canary() == CanaryHeard(words, answers=True)


async def test_a_canary_without_an_address_does_not_answer() -> None:
    async with running() as scene:
        watch(scene, tcp(53, "x" * 70))

        assert not (await scene.ear.next_canary()).answers


async def test_canaries_are_no_hosts() -> None:
    async with running() as scene:
        watch(scene, tcp(refusing()))
        heard = await scene.ear.next_canary()
        scene.watch(host(tcp(refusing())))
        await scene.ear.next()

        assert scene.scheduler.last_answer_at(heard.canary) is None
        assert [report.silent for report in scene.ear.reports] == [()]


async def test_the_heartbeats_of_canaries_are_not_counted_as_those_of_hosts() -> None:
    async with running() as scene:
        watch(scene, tcp(refusing()))
        await scene.ear.next_canary()

        assert not scene.counts.results


async def test_a_canary_that_stays_is_not_told_again_and_one_that_goes_is_forgotten() -> None:
    stays = tcp(refusing())
    with deaf() as port:
        async with running() as scene:
            watch(scene, stays, tcp(port), timeout_s=60.0)
            assert (await scene.ear.next_canary()).canary == stays.words
            await until(lambda: scene.scheduler._asking.sockets == 1)
            comes = tcp(refusing())
            watch(scene, stays, comes)
            assert await scene.ear.next_canary() == CanaryHeard(comes.words, answers=True)

            assert scene.scheduler._asking.sockets == 0
            assert scene.ear.canaries.empty()


async def test_a_canary_that_changes_only_its_pace_is_still_known() -> None:
    probe = tcp(refusing())
    async with running() as scene:
        watch(scene, probe)
        await scene.ear.next_canary()
        before = scene.scheduler._canaries[probe.words]
        watch(scene, probe, timeout_s=0.2)
        after = scene.scheduler._canaries[probe.words]

        assert after.host.heartbeat.timeout_s == 0.2
        assert before.forgotten
        assert after.well


async def test_other_hosts_do_not_disturb_a_canary() -> None:
    with deaf() as port:
        async with running() as scene:
            watch(scene, tcp(port), timeout_s=60.0)
            await until(lambda: scene.scheduler._asking.sockets == 1)
            scene.watch(host(tcp(refusing())))
            await scene.ear.next()

            assert scene.scheduler._asking.sockets == 1


async def test_the_same_canary_twice_is_asked_once() -> None:
    probe = tcp(refusing())
    async with running() as scene:
        watch(scene, probe, probe)
        await scene.ear.next_canary()

        assert len(scene.scheduler._canaries) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root has CAP_NET_RAW")
async def test_an_icmp_canary_needs_a_capability() -> None:
    async with running() as scene:
        with pytest.raises(CapabilityError):
            watch(scene, icmp())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for CAP_NET_RAW")
async def test_an_icmp_canary_answers() -> None:
    async with running() as scene:
        watch(scene, icmp())

        assert await asyncio.wait_for(scene.ear.next_canary(), 10) == CanaryHeard(
            "icmp://127.0.0.1", answers=True
        )
