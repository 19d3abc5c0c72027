"""
What is true right now, as gauges: read from the engine's pictures at each scrape.

Nothing is kept up to date in between, so no gauge can be left behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from pmwatchd.core.model import Alert, HoldName, HostStatus, Liveness
from pmwatchd.core.views import HostView, OperationView, RaisedAlert, SiteView
from pmwatchd.ports import Desk, Health

UNSTARTED = Health(ready=False, journal_writable=False, last_pass_age_s=0.0)
UNSAID = SiteView(automatic=False)


class Snapshot:
    """
    A collector that asks the desk.

    Args:
        desk: The engine's desk, or None while there is none yet.
        per_host: One series per host is wanted.
        wall: Seconds since the epoch, only for showing.
        see: Is given the hosts at every scrape.
    """

    def __init__(
        self,
        desk: Callable[[], Desk | None],
        *,
        per_host: bool,
        wall: Callable[[], float],
        see: Callable[[Sequence[HostView]], None],
    ) -> None:
        self._desk = desk
        self._per_host = per_host
        self._wall = wall
        self._see = see

    def describe(self) -> list[Metric]:
        """Nothing in advance: registering must not ask the desk."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What a scrape shows."""
        desk = self._desk()
        hosts: Sequence[HostView] = desk.hosts() if desk else ()
        self._see(hosts)
        yield from _fleet(hosts, desk.alerts() if desk else ())
        yield from _site(desk.site() if desk else UNSAID, desk)
        yield _shares(desk.shares() if desk else {})
        yield from _operations(desk.operations() if desk else ())
        yield from self._health(desk.health() if desk else UNSTARTED, started=desk is not None)
        if desk and self._per_host:
            yield from _each_host(hosts, desk)

    def _health(self, health: Health, *, started: bool) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "pmwatchd_engine_last_pass_timestamp_seconds",
            "When the engine last finished a pass; 0 before its start.",
            value=self._wall() - health.last_pass_age_s if started else 0.0,
        )
        oldest = health.oldest_open_at
        yield GaugeMetricFamily(
            "pmwatchd_operation_oldest_open_timestamp_seconds",
            "When the oldest open fence operation was opened; 0: none is open.",
            value=oldest.timestamp() if oldest else 0.0,
        )
        yield GaugeMetricFamily(
            "pmwatchd_loop_lag_seconds",
            "How late the event loop last was.",
            value=health.loop_lag_s,
        )
        yield GaugeMetricFamily(
            "pmwatchd_journal_writable",
            "1 while records can be made durable.",
            value=float(health.journal_writable),
        )


def _fleet(hosts: Sequence[HostView], of_site: Sequence[RaisedAlert]) -> Iterator[Metric]:
    yield _counted(
        "pmwatchd_hosts",
        "Hosts by their shown status.",
        "status",
        HostStatus,
        Counter(str(view.status) for view in hosts),
    )
    yield _counted(
        "pmwatchd_holds",
        "Hosts that are not fenced now because of this hold.",
        "hold",
        HoldName,
        Counter(str(hold.name) for view in hosts for hold in view.holds),
    )
    alerts = Counter(str(alert.name) for view in hosts for alert in view.alerts)
    alerts.update(str(alert.name) for alert in of_site)
    yield _counted(
        "pmwatchd_alerts",
        "Alerts that are raised now, those of hosts and those of the whole site.",
        "alert",
        Alert,
        alerts,
    )


def _site(said: SiteView, desk: Desk | None) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "pmwatchd_automatic",
        "1 if safety.automatic is true; 0: hosts are watched and never fenced automatically.",
        value=float(said.automatic),
    )
    yield GaugeMetricFamily(
        "pmwatchd_paused",
        "1 while a person has paused all automatic fencing.",
        value=float(said.paused is not None),
    )
    for name, what, kept in (
        ("pause_expiry_timestamp_seconds", "the pause ends by itself; 0: not paused", said.paused),
        (
            "storm_override_expiry_timestamp_seconds",
            "a storm stops fencing again; 0: it is not overridden",
            said.override,
        ),
    ):
        ends_at = desk.wall_of(kept.until_at).timestamp() if desk and kept else 0.0
        yield GaugeMetricFamily(f"pmwatchd_{name}", f"When {what}.", value=ends_at)


def _shares(shares: Mapping[tuple[str, str], float]) -> Metric:
    family = GaugeMetricFamily(
        "pmwatchd_domain_silent_ratio",
        "Share of silent hosts among those that count, by domain, as a storm is judged by it.",
        labels=["domain", "value"],
    )
    for labels, share in sorted(shares.items()):
        family.add_metric(labels, share)
    return family


def _counted(
    name: str,
    documentation: str,
    label: str,
    known: type[StrEnum],
    counts: Mapping[str, int],
) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=[label])
    for member in known:
        family.add_metric([member.value], counts.get(member.value, 0))
    return family


def _operations(operations: Sequence[OperationView]) -> Iterator[Metric]:
    open_now = [operation for operation in operations if operation.closed_at is None]
    yield GaugeMetricFamily(
        "pmwatchd_operations_open", "Fence operations that have not ended.", value=len(open_now)
    )


def _each_host(hosts: Sequence[HostView], desk: Desk) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        "pmwatchd_host_info",
        "Where a host belongs; always 1.",
        labels=["host", "cluster", "datacenter"],
    )
    for view in hosts:
        info.add_metric([view.host.name, view.host.cluster, view.host.datacenter], 1)
    yield info

    up = GaugeMetricFamily("pmwatchd_host_up", "1 if the host is up.", labels=["host"])
    for view in hosts:
        up.add_metric([view.host.name], float(view.liveness is Liveness.UP))
    yield up

    alerts = GaugeMetricFamily(
        "pmwatchd_host_alert", "Alerts of a host that are raised now.", labels=["host", "alert"]
    )
    for view in hosts:
        for alert in view.alerts:
            alerts.add_metric([view.host.name, alert.name.value], 1)
    yield alerts

    answered = GaugeMetricFamily(
        "pmwatchd_host_last_answer_timestamp_seconds",
        "When the host last answered a heartbeat; 0: not since this start.",
        labels=["host"],
    )
    # one offset for all: the two clocks do not drift apart within a scrape
    offset_s = desk.wall_of(0.0).timestamp()
    for view in hosts:
        last_at = view.last_answer_at
        answered.add_metric([view.host.name], 0.0 if last_at is None else offset_s + last_at)
    yield answered
