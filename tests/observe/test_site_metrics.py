"""What holds for the whole site, as metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from pmwatchd.core.model import Alert, HoldName, HostStatus
from pmwatchd.core.views import KeeperView, SiteView
from pmwatchd.observe.metrics import Metrics
from tests.observe.fleet import START, ScriptedDesk, told, up


class Scraped:
    """Metrics of a scripted desk, or of none."""

    def __init__(self, desk: ScriptedDesk | None) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, lambda: desk, per_host=True, version="9.9")

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"pmwatchd_{name}", labels)


def test_every_hold_alert_and_status_exists_at_zero_from_the_start() -> None:
    scraped = Scraped(ScriptedDesk([]))

    assert {scraped.value("holds", hold=hold.value) for hold in HoldName} == {0.0}
    assert {scraped.value("holds_began_total", hold=hold.value) for hold in HoldName} == {0.0}
    assert {scraped.value("alerts", alert=alert.value) for alert in Alert} == {0.0}
    assert {scraped.value("hosts", status=status.value) for status in HostStatus} == {0.0}
    assert scraped.value("would_have_fenced_total") == 0.0


def test_hosts_that_dump_are_counted() -> None:
    desk = ScriptedDesk([up("node1", status=HostStatus.KDUMPING), up("node2")])

    assert Scraped(desk).value("hosts", status="kdumping") == 1.0


def test_a_pause_and_an_override_are_shown_with_their_ends() -> None:
    desk = ScriptedDesk()
    scraped = Scraped(desk)
    names = ("paused", "pause_expiry_timestamp_seconds", "storm_override_expiry_timestamp_seconds")
    calm = [scraped.value(name) for name in names]
    desk.said = SiteView(
        paused=KeeperView(by="ann", reason="x", until_at=60.0),
        override=KeeperView(by="bob", reason="y", until_at=90.0),
    )

    assert calm == [0.0, 0.0, 0.0]
    start_s = START.timestamp()
    assert [scraped.value(name) for name in names] == [1.0, start_s + 60, start_s + 90]


def test_shadow_mode_is_a_metric_and_what_it_would_have_done_is_counted() -> None:
    desk = ScriptedDesk()
    scraped = Scraped(desk)
    acting = scraped.value("automatic")
    desk.said = SiteView(automatic=False)
    scraped.metrics.tell(told("fence.would_have"))

    assert (acting, scraped.value("automatic")) == (1.0, 0.0)
    assert scraped.value("would_have_fenced_total") == 1.0


def test_the_share_of_silent_hosts_is_shown_by_domain() -> None:
    shares = {("fleet", ""): 0.25, ("cluster", "blue"): 0.0, ("label:rack", "r12"): 1.0}
    scraped = Scraped(ScriptedDesk(silent_shares=shares))

    assert {
        labels: scraped.value("domain_silent_ratio", domain=labels[0], value=labels[1])
        for labels in shares
    } == shares


def test_without_a_desk_nothing_is_automatic_and_nothing_paused() -> None:
    scraped = Scraped(None)

    assert scraped.value("automatic") == 0.0
    assert scraped.value("paused") == 0.0
    assert scraped.value("pause_expiry_timestamp_seconds") == 0.0
