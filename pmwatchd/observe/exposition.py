"""
A scrape as text, in slices, so that a large fleet does not hold up the event loop.

Heartbeats and fencing go on between two slices.  The library renders each
slice; the extra ``_created`` series that it makes of counters are left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
SLICE_MAX = 1000


class _One(Collector):
    """A registry of one metric."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        yield self._metric


async def expose(registry: CollectorRegistry) -> bytes:
    """Everything in the registry in the text format, the loop given back between slices."""
    parts: list[bytes] = []
    for metric in registry.collect():
        for piece in _slices(metric):
            parts.append(piece)
            await asyncio.sleep(0)
    return b"".join(parts)


def _slices(metric: Metric) -> Iterator[bytes]:
    samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
    for begin in range(0, max(len(samples), 1), SLICE_MAX):
        part = Metric(metric.name, metric.documentation, metric.type)
        part.samples = samples[begin : begin + SLICE_MAX]
        text = generate_latest(_One(part))
        # HELP and TYPE stand once, in front of all samples of a name
        yield text if begin == 0 else text.split(b"\n", 2)[2]
