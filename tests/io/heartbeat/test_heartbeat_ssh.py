"""The ssh probe."""

from __future__ import annotations

from pmwatchd.core.model import Probe, ProbeResult, ProbeType
from tests.io.heartbeat.scene import accepting, deaf, host, refusing, running, saying


def ssh(port: int) -> Probe:
    return Probe(type=ProbeType.SSH, address="127.0.0.1", port=port)


async def test_a_banner_is_alive() -> None:
    async with saying(b"SSH-2.0-OpenSSH_9.2p1\r\n") as port, running() as scene:
        assert await scene.scheduler.probe(host(ssh(port))) is ProbeResult.ALIVE


async def test_a_server_that_has_had_enough_of_us_is_alive() -> None:
    async with saying(b"Not allowed at this time\r\n") as port, running() as scene:
        assert await scene.scheduler.probe(host(ssh(port))) is ProbeResult.ALIVE


async def test_an_accepted_connection_that_stays_mute_is_silent() -> None:
    with accepting() as port:
        async with running() as scene:
            result = await scene.scheduler.probe(host(ssh(port), timeout_s=0.2))

    assert result is ProbeResult.SILENT


async def test_a_connection_that_nobody_takes_is_silent() -> None:
    with deaf() as port:
        async with running() as scene:
            result = await scene.scheduler.probe(host(ssh(port), timeout_s=0.2))

    assert result is ProbeResult.SILENT


async def test_a_connection_that_somebody_closes_is_alive() -> None:
    async with saying(b"", then_closes=True) as port, running() as scene:
        assert await scene.scheduler.probe(host(ssh(port))) is ProbeResult.ALIVE


async def test_a_refused_connection_is_alive() -> None:
    async with running() as scene:
        assert await scene.scheduler.probe(host(ssh(refusing()))) is ProbeResult.ALIVE
