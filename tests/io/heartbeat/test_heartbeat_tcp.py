"""The tcp probe, on real sockets."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from pmwatchd.core.model import ProbeResult
from pmwatchd.io.heartbeat.tcp import descriptors_max
from tests.io.heartbeat.scene import (
    accepting,
    deaf,
    host,
    in_a_network_of_its_own,
    is_root,
    refusing,
    running,
    tcp,
)

needs_root = pytest.mark.skipif(not is_root(), reason="a network namespace needs root")


async def test_an_accepted_connection_is_alive() -> None:
    with accepting() as port:
        async with running() as scene:
            assert await scene.scheduler.probe(host(tcp(port))) is ProbeResult.ALIVE


async def test_a_refused_connection_is_alive() -> None:
    async with running() as scene:
        assert await scene.scheduler.probe(host(tcp(refusing()))) is ProbeResult.ALIVE


async def test_a_connection_that_nobody_takes_is_silent_after_the_timeout() -> None:
    with deaf() as port:
        async with running() as scene:
            began_at = scene.clock()
            result = await scene.scheduler.probe(host(tcp(port), timeout_s=0.2))

            assert result is ProbeResult.SILENT
            assert scene.clock() - began_at >= 0.2


async def test_an_ipv6_address_is_asked_over_ipv6() -> None:
    with socket.socket(socket.AF_INET6) as listener:
        listener.bind(("::1", 0))
        listener.listen()
        async with running() as scene:
            probe = tcp(listener.getsockname()[1], "::1")
            assert await scene.scheduler.probe(host(probe)) is ProbeResult.ALIVE
        listener.setblocking(False)
        listener.accept()[0].close()


async def test_a_probe_leaves_no_port_behind() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        async with running() as scene:
            await scene.scheduler.probe(host(tcp(listener.getsockname()[1])))
        ours, (_, port) = listener.accept()
        ours.close()
        with socket.socket() as again:  # a port in TIME_WAIT could not be bound
            again.bind(("127.0.0.1", port))


@needs_root
def test_an_interface_that_is_down_is_a_local_fault() -> None:
    async def ask() -> ProbeResult:
        async with running() as scene:
            return await scene.scheduler.probe(host(tcp(22, "192.0.2.1")))

    result = in_a_network_of_its_own(lambda: asyncio.run(ask()), lo_up=False)

    assert result is ProbeResult.LOCAL_FAULT


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        next_fd = stack.enter_context(socket.socket()).fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (next_fd, limits[1]))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        while True:  # gaps below the highest descriptor
            try:
                stack.enter_context(socket.socket())
            except OSError:
                break
        yield


async def test_no_descriptor_left_is_a_local_fault() -> None:
    async with running() as scene:
        await scene.scheduler.probe(host(tcp(refusing())))
        with no_descriptor_left():
            result = await scene.scheduler.probe(host(tcp(1)))

    assert result is ProbeResult.LOCAL_FAULT


def test_descriptors_are_left_for_the_rest_of_the_daemon() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)

    assert 0 < descriptors_max() < soft
