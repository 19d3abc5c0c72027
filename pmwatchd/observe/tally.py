"""
Counts of what happens thousands of times a second, as plain integers until a scrape.

A heartbeat costs well under a microsecond here; the locks and label look-ups
of a metrics library would cost several.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.utils import floatToGoString

from pmwatchd.core.model import ProbeResult

SHORT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Buckets:
    """A histogram without labels; the bounds are upper ones, in seconds."""

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds_s = tuple(bounds_s)
        self._counts = [0] * (len(self._bounds_s) + 1)
        self._sum_s = 0.0

    def observe(self, took_s: float) -> None:
        """Count one duration."""
        self._counts[bisect_left(self._bounds_s, took_s)] += 1
        self._sum_s += took_s

    def family(self, name: str, documentation: str) -> Metric:
        """What a scrape shows."""
        bounds = [*map(floatToGoString, self._bounds_s), "+Inf"]
        totals = [float(total) for total in accumulate(self._counts)]
        return HistogramMetricFamily(
            name,
            documentation,
            buckets=list(zip(bounds, totals, strict=True)),
            sum_value=self._sum_s,
        )


class Tally:
    """The meter's side of the metrics; it is a :class:`~pmwatchd.ports.Meter`."""

    def __init__(self) -> None:
        self._heartbeats = dict.fromkeys(ProbeResult, 0)
        self._durations = Buckets(SHORT_S)
        self._delays = Buckets(SHORT_S)
        self._commits = Buckets(SHORT_S)
        self._proxies = 0

    def heartbeat(self, result: ProbeResult, took_s: float) -> None:
        """One heartbeat of one host came to an end."""
        self._heartbeats[result] += 1
        self._durations.observe(took_s)

    def start_delay(self, late_s: float) -> None:
        """A round of heartbeats began so much later than planned."""
        self._delays.observe(late_s)

    def commit(self, took_s: float) -> None:
        """The journal made a transaction durable."""
        self._commits.observe(took_s)

    def connected(self, proxies: int) -> None:
        """So many SSH connections to proxies are kept now."""
        self._proxies = proxies

    def describe(self) -> list[Metric]:
        """Nothing in advance: the registry need not collect to learn the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What a scrape shows."""
        heartbeats = CounterMetricFamily(
            "pmwatchd_heartbeats",
            "Heartbeats that came to an end, one per host and interval; a local fault is ours.",
            labels=["result"],
        )
        for result, count in self._heartbeats.items():
            heartbeats.add_metric([result.value], count)
        yield heartbeats
        yield self._durations.family(
            "pmwatchd_heartbeat_duration_seconds", "From a heartbeat's start to its result."
        )
        yield self._delays.family(
            "pmwatchd_heartbeat_start_delay_seconds",
            "How much later than planned a round of heartbeats began.",
        )
        yield self._commits.family(
            "pmwatchd_journal_commit_duration_seconds",
            "How long one transaction of the journal took to be durable.",
        )
        yield GaugeMetricFamily(
            "pmwatchd_proxies_connected",
            "SSH connections to proxies that are kept now.",
            value=self._proxies,
        )
