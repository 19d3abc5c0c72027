"""
What a heartbeat costs: microseconds of CPU of this process, printed as one JSON object.

::

    python tests/benchmarks/heartbeats.py [PROBES]

The scheduler's probes run beside ``loop.sock_connect`` and, where it is
installed, ``fping``, in the same run on the same machine: ratios carry over
to others, figures do not.  ``idle_1000_hosts_percent`` is the share of one
core that 1,000 hosts cost, asked over TCP every 5 s.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from pmwatchd.core.model import Heartbeat, Host, Probe, ProbeResult, ProbeType
from pmwatchd.io.heartbeat import Scheduler

ROUND_S = 5.0
IDLE_HOSTS = 1000


class Count:
    """A meter that only counts."""

    def __init__(self) -> None:
        self.heartbeats = 0
        self.lost = 0

    def heartbeat(self, result: ProbeResult, took_s: float) -> None:
        assert took_s >= 0
        self.heartbeats += 1
        self.lost += result is not ProbeResult.ALIVE

    def start_delay(self, late_s: float) -> None:
        """Not of interest here."""

    def commit(self, took_s: float) -> None:
        """Not of interest here."""

    def connected(self, proxies: int) -> None:
        """Not of interest here."""


@contextmanager
def accepting_process() -> Iterator[int]:
    """Yield a port that another process accepts at, so that its CPU is not counted as ours."""
    listener = socket.create_server(("0.0.0.0", 0), backlog=4096)  # noqa: S104 - all of 127/8
    port: int = listener.getsockname()[1]
    child = os.fork()
    if child == 0:
        while os.getppid() != 1:
            listener.accept()[0].close()
        os._exit(0)
    listener.close()
    try:
        yield port
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def hosts(number: int, kind: ProbeType, port: int) -> dict[str, Host]:
    """So many hosts, each with an address of its own on loopback."""
    addresses = [f"127.{1 + n // 62500}.{n // 250 % 250}.{n % 250 + 1}" for n in range(number)]
    return {
        f"node{n}": Host(
            name=f"node{n}",
            address=address,
            heartbeat=Heartbeat(
                probes=(Probe(type=kind, address=address, port=port),), interval_s=ROUND_S
            ),
        )
        for n, address in enumerate(addresses)
    }


async def scheduled(watched: dict[str, Host]) -> tuple[float, float, int]:
    """CPU per probe in µs and share of a core in percent of two rounds, and how many were lost."""
    count = Count()
    scheduler = Scheduler(listen=lambda _: None, meter=count, clock=time.monotonic)
    scheduler.watch(watched)
    running = asyncio.create_task(scheduler.run())
    await asyncio.sleep(ROUND_S)  # the first answers are changes, and are reported
    before, cpu_s = count.heartbeats, time.process_time()
    await asyncio.sleep(2 * ROUND_S)
    cpu_s = time.process_time() - cpu_s
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return 1e6 * cpu_s / (count.heartbeats - before), 100 * cpu_s / (2 * ROUND_S), count.lost


async def sock_connect(probes: int, port: int) -> float:
    """CPU per probe in µs of the plain way to do it with asyncio."""
    loop = asyncio.get_running_loop()

    async def connect() -> None:
        with socket.socket() as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, ("127.0.0.1", port))

    return await per_probe(connect, probes)


async def per_probe(probe: Callable[[], Awaitable[None]], probes: int) -> float:
    """CPU per probe in µs, 50 at a time."""
    cpu_s = time.process_time()
    for _ in range(probes // 50):
        await asyncio.gather(*(probe() for _ in range(50)))
    return 1e6 * (time.process_time() - cpu_s) / (probes // 50 * 50)


def fping(addresses: list[str]) -> float | None:
    """CPU per probe in µs of fping; None where it is not installed."""
    program = shutil.which("fping")
    if program is None:
        return None
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([program, "-q", "-i", "1"], input="\n".join(addresses), text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1e6 * cpu_s / len(addresses)


def main() -> None:
    """Print the figures."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    assert threading.active_count() == 1
    with accepting_process() as port:
        tcp_us, tcp_percent, tcp_lost = asyncio.run(scheduled(hosts(number, ProbeType.TCP, port)))
        _, idle_percent, _ = asyncio.run(scheduled(hosts(IDLE_HOSTS, ProbeType.TCP, port)))
        connect_us = asyncio.run(sock_connect(min(number, 5000), port))
    figures: dict[str, float | None] = {
        "hosts": number,
        "tcp_us_per_probe": tcp_us,
        "tcp_percent_of_core": tcp_percent,
        "tcp_lost": tcp_lost,
        "idle_1000_hosts_percent": idle_percent,
        "sock_connect_us_per_probe": connect_us,
        "fping_us_per_probe": fping(
            [host.address for host in hosts(number, ProbeType.ICMP, 0).values()]
        ),
    }
    if os.geteuid() == 0:
        icmp_us, icmp_percent, icmp_lost = asyncio.run(scheduled(hosts(number, ProbeType.ICMP, 0)))
        figures |= {
            "icmp_us_per_probe": icmp_us,
            "icmp_percent_of_core": icmp_percent,
            "icmp_lost": icmp_lost,
        }
    sys.stdout.write(json.dumps({k: v and round(v, 2) for k, v in figures.items()}) + "\n")


if __name__ == "__main__":
    main()
