"""
How long a scrape takes and how long it holds up the event loop.

Run: ``python -m tests.benchmarks.scrape [HOSTS]``
"""

from __future__ import annotations

import asyncio
import sys
import time

from prometheus_client import CollectorRegistry

from pmwatchd.core.model import ProbeResult
from pmwatchd.observe.exposition import expose
from pmwatchd.observe.metrics import Metrics
from tests.observe.fleet import ScriptedDesk, up

BEATS = 200_000


async def longest_gap_s(stop: asyncio.Event) -> float:
    """The longest time in which another task of the loop could not run."""
    longest = 0.0
    while not stop.is_set():
        began = time.perf_counter()
        await asyncio.sleep(0)
        longest = max(longest, time.perf_counter() - began)
    return longest


async def main(hosts: int) -> None:
    desk = ScriptedDesk([up(f"node{number}") for number in range(hosts)])
    registry = CollectorRegistry()
    metrics = Metrics(registry, lambda: desk, per_host=True)
    await expose(registry)
    stop = asyncio.Event()
    watcher = asyncio.create_task(longest_gap_s(stop))
    await asyncio.sleep(0)
    began = time.perf_counter()
    text = await expose(registry)
    took_s = time.perf_counter() - began
    stop.set()
    gap_s = await watcher
    began = time.perf_counter()
    for _ in range(BEATS):
        metrics.heartbeat(ProbeResult.ALIVE, 0.0021)
    beat_us = (time.perf_counter() - began) / BEATS * 1e6
    print(  # noqa: T201 - a benchmark is read on a terminal
        f"{hosts} hosts: {len(text) / 1e6:.1f} MB in {took_s * 1000:.0f} ms, "
        f"loop held up for {gap_s * 1000:.0f} ms at most; {beat_us:.2f} us per heartbeat"
    )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000))
