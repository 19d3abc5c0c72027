"""Metrics: counted from records, everything else read at the scrape."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterable

import pytest
from prometheus_client import CollectorRegistry

from pmwatchd.core.model import Alert, Outcome, ProbeResult
from pmwatchd.core.orders import Told, Value
from pmwatchd.core.views import RaisedAlert
from pmwatchd.observe.exposition import SLICE_MAX, expose
from pmwatchd.observe.metrics import Metrics
from pmwatchd.ports import Health
from tests.observe.fleet import (
    CANARY,
    START,
    ScriptedDesk,
    operation,
    silent,
    told,
    up,
)

NOW_S = START.timestamp() + 100.0


class Scraped:
    """Metrics on a registry of their own, with what a scrape shows."""

    def __init__(self, desk: ScriptedDesk | None = None, *, per_host: bool = True) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(
            self.registry, lambda: desk, per_host=per_host, version="9.9", wall=lambda: NOW_S
        )

    def tell(self, records: Iterable[Told]) -> None:
        for record in records:
            self.metrics.tell(record)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"pmwatchd_{name}", labels)


def test_every_series_with_known_labels_exists_at_zero_from_the_start() -> None:
    scraped = Scraped(ScriptedDesk([up("node1")]))

    series: list[tuple[str, dict[str, str]]] = [
        ("hosts", {"status": "failed"}),
        ("holds", {"hold": "startup"}),
        ("holds_began_total", {"hold": "last_look"}),
        ("alerts", {"alert": "left_off"}),
        ("heartbeats_total", {"result": "local_fault"}),
        ("heartbeat_duration_seconds_count", {}),
        ("heartbeat_start_delay_seconds_count", {}),
        ("journal_commit_duration_seconds_count", {}),
        (
            "fence_operations_total",
            {"action": "restart", "cause": "automatic", "outcome": "recovered"},
        ),
        ("fence_phase_duration_seconds_count", {"phase": "off_sent"}),
        ("operations_open", {}),
        ("operation_oldest_open_timestamp_seconds", {}),
        ("proxies_connected", {}),
        ("loop_lag_seconds", {}),
        ("config_last_reload_successful", {}),
        ("config_last_reload_success_timestamp_seconds", {}),
    ]
    assert {name: scraped.value(name, **labels) for name, labels in series} == {
        name: 0.0 for name, _ in series
    }


async def test_the_agent_types_of_the_inventory_exist_at_zero_too() -> None:
    scraped = Scraped(ScriptedDesk([up("node1")]))
    await expose(scraped.registry)

    labels = {"type": "ipmilan", "action": "off", "result": "auth_error"}
    assert scraped.value("agent_executions_total", **labels) == 0.0


def test_without_a_desk_there_are_no_hosts_and_no_pass() -> None:
    scraped = Scraped(None)

    assert scraped.value("hosts", status="up") == 0.0
    assert scraped.value("engine_last_pass_timestamp_seconds") == 0.0
    assert scraped.value("journal_writable") == 0.0


def test_hosts_holds_and_alerts_are_counted_at_the_scrape() -> None:
    scraped = Scraped(ScriptedDesk([up("node1"), up("node2"), silent("node3")]))

    assert scraped.value("hosts", status="up") == 2.0
    assert scraped.value("hosts", status="non_responsive") == 1.0
    assert scraped.value("holds", hold="startup") == 1.0
    assert scraped.value("alerts", alert="unfenced") == 1.0


def test_each_host_has_its_own_series() -> None:
    scraped = Scraped(ScriptedDesk([up("node1"), silent("node3")]))

    assert scraped.value("host_info", host="node1", cluster="blue", datacenter="east") == 1.0
    assert scraped.value("host_up", host="node1") == 1.0
    assert scraped.value("host_up", host="node3") == 0.0
    assert scraped.value("host_alert", host="node3", alert="unfenced") == 1.0
    assert scraped.value("host_alert", host="node1", alert="unfenced") is None
    answered_at = scraped.value("host_last_answer_timestamp_seconds", host="node1")
    assert answered_at == START.timestamp() + 20.0
    assert scraped.value("host_last_answer_timestamp_seconds", host="node3") == 0.0


def test_series_per_host_can_be_left_out() -> None:
    scraped = Scraped(ScriptedDesk([silent("node3")]), per_host=False)

    assert scraped.value("host_up", host="node3") is None
    assert scraped.value("host_alert", host="node3", alert="unfenced") is None
    assert scraped.value("hosts", status="non_responsive") == 1.0


def test_the_health_of_the_engine_is_shown() -> None:
    desk = ScriptedDesk(
        running=[operation("op_2"), operation("op_1", outcome=Outcome.DONE)],
        condition=Health(
            ready=True,
            journal_writable=True,
            last_pass_age_s=2.0,
            oldest_open_at=START,
            loop_lag_s=0.25,
        ),
    )
    scraped = Scraped(desk)

    assert scraped.value("operations_open") == 1.0
    assert scraped.value("operation_oldest_open_timestamp_seconds") == START.timestamp()
    assert scraped.value("engine_last_pass_timestamp_seconds") == NOW_S - 2.0
    assert scraped.value("loop_lag_seconds") == 0.25
    assert scraped.value("journal_writable") == 1.0
    assert scraped.value("build_info", version="9.9") == 1.0


def test_alerts_of_the_whole_site_are_counted_too() -> None:
    alert = RaisedAlert(name=Alert.JOURNAL_UNWRITABLE, since_at=5.0, reason="disk full")

    assert Scraped(ScriptedDesk(raised=(alert,))).value("alerts", alert=alert.name) == 1.0


def test_an_ended_operation_is_counted_by_how_it_ended() -> None:
    labels = {"action": "restart", "cause": "automatic", "outcome": "done"}
    scraped = Scraped()
    scraped.metrics.tell(told("fence.closed", fields={**labels, "took_s": 14.0}))

    assert scraped.value("fence_operations_total", **labels) == 1.0


def test_a_label_that_is_in_no_list_is_counted_as_unknown() -> None:
    scraped = Scraped()
    scraped.metrics.tell(told("fence.closed", fields={"action": "x" * 200, "outcome": "done"}))

    labels = {"action": "unknown", "cause": "unknown", "outcome": "done"}
    assert scraped.value("fence_operations_total", **labels) == 1.0


def executed(**fields: Value) -> Told:
    usual: dict[str, Value] = {
        "agent": "bmc",
        "action": "off",
        "proxy": "node2",
        "result": "ok",
        "took_s": 2.1,
    }
    return told("fence.agent_executed", fields={**usual, **fields})


def test_an_execution_is_counted_by_the_type_of_its_agent() -> None:
    scraped = Scraped(ScriptedDesk([up("node1")]))
    scraped.tell([executed(), executed(type="apc_snmp"), executed(agent="gone")])

    for agent_type in ("ipmilan", "apc_snmp", "unknown"):
        labels = {"type": agent_type, "action": "off"}
        assert scraped.value("agent_executions_total", **labels, result="ok") == 1.0
        assert scraped.value("agent_execution_duration_seconds_sum", **labels) == 2.1


def test_a_proxy_is_counted_by_how_it_did() -> None:
    scraped = Scraped(ScriptedDesk([up("node1")]))
    failed: dict[str, Value] = {
        "agent": "bmc",
        "action": "off",
        "proxy": "node2",
        "result": "host_key",
    }
    scraped.tell([told("fence.proxy_failed", fields=failed), executed(proxy="node4")])

    assert scraped.value("proxy_executions_total", proxy="node2", result="host_key") == 1.0
    assert scraped.value("proxy_executions_total", proxy="node2", result="ok") == 0.0
    assert scraped.value("proxy_executions_total", proxy="node4", result="ok") == 1.0


def test_a_proxy_that_was_lost_after_the_start_is_not_counted_as_ok() -> None:
    scraped = Scraped(ScriptedDesk([up("node1")]))
    lost: dict[str, Value] = {"agent": "bmc", "action": "off", "proxy": "node2", "result": "lost"}
    last = executed(result="killed", proxy_result="lost")
    scraped.tell([told("fence.proxy_failed", fields=lost), last])

    assert scraped.value("proxy_executions_total", proxy="node2", result="lost") == 1.0
    assert scraped.value("proxy_executions_total", proxy="node2", result="ok") == 0.0


def test_two_operations_at_once_do_not_mix_up_their_proxies() -> None:
    scraped = Scraped(ScriptedDesk([up("node1")]))
    lost: dict[str, Value] = {"agent": "bmc", "action": "off", "proxy": "node2", "result": "lost"}
    last = executed(result="killed", proxy_result="lost")
    scraped.tell([told("fence.proxy_failed", fields=lost), executed(proxy="node4"), last])

    assert scraped.value("proxy_executions_total", proxy="node2", result="lost") == 1.0
    assert scraped.value("proxy_executions_total", proxy="node2", result="ok") == 0.0
    assert scraped.value("proxy_executions_total", proxy="node4", result="ok") == 1.0


def test_an_off_that_was_withdrawn_took_no_time_and_used_no_proxy() -> None:
    scraped = Scraped(ScriptedDesk([up("node1")]))
    scraped.tell([executed(result="withdrawn", proxy=None, took_s=0.0)])

    labels = {"type": "ipmilan", "action": "off"}
    assert scraped.value("agent_executions_total", **labels, result="withdrawn") == 1.0
    assert not scraped.value("agent_execution_duration_seconds_count", **labels)


@pytest.mark.parametrize(
    "event", ["config.reload_failed", "inventory.refused", "secret.unreadable"]
)
def test_a_reload_that_failed_is_seen_until_one_succeeds(event: str) -> None:
    scraped = Scraped()
    scraped.tell([told("config.reloaded"), told(event)])
    failed = scraped.value("config_last_reload_successful")
    scraped.tell([told("config.reloaded")])

    assert (failed, scraped.value("config_last_reload_successful")) == (0.0, 1.0)


def test_the_phases_of_a_treatment_are_measured() -> None:
    scraped = Scraped()
    scraped.tell(
        [
            told("watch.non_responsive", fields={"silent_s": 62.0}),
            told("fence.opened", after_s=3.0, fields={"cause": "automatic"}),
            told("fence.intended", after_s=4.5, fields={"action": "off"}),
            told("fence.intended", after_s=5.0, fields={"action": "off"}),
            told("fence.off_proven", after_s=7.0, fields={"took_s": 4.0}),
            told("fence.intended", after_s=8.0, fields={"action": "on"}),
            told("fence.on_proven", after_s=9.0, fields={"took_s": 2.0}),
            told("fence.closed", after_s=9.0, fields={"outcome": "done"}),
            told("watch.answered", after_s=99.0, fields={"was": "booting", "silent_s": 160.0}),
        ]
    )

    phases = ("detect", "hold", "off_sent", "off_proven", "on_proven", "booted")
    name = "fence_phase_duration_seconds"
    assert [scraped.value(f"{name}_sum", phase=phase) for phase in phases] == [
        62.0,
        3.0,
        1.5,
        4.0,
        2.0,
        90.0,
    ]
    assert [scraped.value(f"{name}_count", phase=phase) for phase in phases] == [1.0] * 6


def test_a_clock_that_was_set_back_measures_nothing() -> None:
    scraped = Scraped()
    scraped.tell(
        [
            told("watch.non_responsive", after_s=50.0),
            told("fence.opened", after_s=3.0, fields={"cause": "automatic"}),
        ]
    )

    assert scraped.value("fence_phase_duration_seconds_count", phase="hold") == 0.0


def test_a_host_that_answers_by_itself_did_not_boot() -> None:
    scraped = Scraped()
    scraped.metrics.tell(told("watch.answered", fields={"was": "connecting", "silent_s": 9.0}))

    assert scraped.value("fence_phase_duration_seconds_count", phase="booted") == 0.0


def test_heartbeats_are_counted_by_result_and_duration() -> None:
    scraped = Scraped()
    scraped.metrics.heartbeat(ProbeResult.ALIVE, 0.001)
    scraped.metrics.heartbeat(ProbeResult.ALIVE, 0.003)
    scraped.metrics.heartbeat(ProbeResult.SILENT, 20.0)

    name = "heartbeat_duration_seconds"
    assert scraped.value("heartbeats_total", result="alive") == 2.0
    assert scraped.value("heartbeats_total", result="silent") == 1.0
    assert scraped.value(f"{name}_bucket", le="0.001") == 1.0
    assert scraped.value(f"{name}_bucket", le="0.005") == 2.0
    assert scraped.value(f"{name}_bucket", le="5.0") == 2.0
    assert scraped.value(f"{name}_bucket", le="+Inf") == 3.0
    assert scraped.value(f"{name}_sum") == pytest.approx(20.004)


def test_the_meter_shows_delays_commits_and_connections() -> None:
    scraped = Scraped()
    scraped.metrics.start_delay(0.02)
    scraped.metrics.commit(0.004)
    scraped.metrics.connected(3)

    assert scraped.value("heartbeat_start_delay_seconds_sum") == 0.02
    assert scraped.value("journal_commit_duration_seconds_count") == 1.0
    assert scraped.value("proxies_connected") == 3.0


def test_a_reload_is_successful_until_one_is_refused() -> None:
    scraped = Scraped()
    scraped.metrics.tell(told("inventory.loaded", fields={"hosts": 3}))
    before = scraped.value("config_last_reload_successful")
    scraped.metrics.tell(told("inventory.refused", after_s=9.0))

    at = scraped.value("config_last_reload_success_timestamp_seconds")
    assert (before, scraped.value("config_last_reload_successful")) == (1.0, 0.0)
    assert at == START.timestamp()


async def test_a_large_fleet_is_exposed_completely_and_each_metric_stands_together() -> None:
    count = 2 * SLICE_MAX + 7
    scraped = Scraped(ScriptedDesk([up(f"node{number}") for number in range(count)]))
    text = (await expose(scraped.registry)).decode()

    names = [line.partition("{")[0] for line in text.splitlines() if line.startswith("pmwatchd_")]
    assert names.count("pmwatchd_host_up") == count
    assert text.count("# TYPE pmwatchd_host_up gauge") == 1
    last = len(names) - 1 - names[::-1].index("pmwatchd_host_up")
    assert last - names.index("pmwatchd_host_up") == count - 1
    assert "_created" not in text


async def test_no_secret_is_in_a_scrape() -> None:
    scraped = Scraped(ScriptedDesk([up("node1"), silent("node2")]))

    assert CANARY not in (await expose(scraped.registry)).decode()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (apt: prometheus)")
def test_a_scrape_of_a_thousand_hosts_satisfies_promtool() -> None:
    views = [silent(f"node{number}") for number in range(1000)]
    scraped = Scraped(ScriptedDesk(views))
    scraped.metrics.heartbeat(ProbeResult.ALIVE, 0.002)
    scraped.metrics.tell(executed())
    text = asyncio.run(expose(scraped.registry))
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
