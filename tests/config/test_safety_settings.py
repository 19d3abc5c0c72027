"""``[safety]``: every key, every fault, and what the core makes of it."""

from __future__ import annotations

import pytest

from pmwatchd import config
from pmwatchd.core.model import Probe, ProbeType
from pmwatchd.core.rules import Burst, DomainRule, Spacing
from pmwatchd.errors import ConfigError
from tests.config.folder import Folder


def refused(folder: Folder, text: str) -> dict[str, str]:
    folder.main(text)
    with pytest.raises(ConfigError) as raised:
        folder.load()
    return {fault.key: fault.reason for fault in raised.value.faults}


def test_every_key_of_safety_reaches_the_core(folder: Folder) -> None:
    folder.main(
        """
        [safety]
        automatic = false
        startup_hold = "1m"
        max_concurrent = 4
        per_hour = 20
        loop_limit = 2
        loop_window = "2h"
        witnesses = 3
        canaries = [{ type = "icmp", address = "10.0.0.1" }, { type = "ssh", address = "ns" }]
        poweron_spacing = { by = "label:feed", gap = "2s" }
        [safety.storm]
        threshold_percent = 40
        min_hosts = 5
        cooldown = "2m"
        burst = { percent = 12.5, hosts = 4, within = "1m" }
        domains = ["fleet", "label:row", { by = "label:rack", threshold_percent = 80 }]
        """
    )

    safety = folder.load().rules.safety

    assert not safety.automatic
    assert (safety.startup_hold_s, safety.max_concurrent, safety.per_hour) == (60, 4, 20)
    assert (safety.loop_limit, safety.loop_window_s, safety.witnesses) == (2, 7200, 3)
    assert safety.canaries == (
        Probe(type=ProbeType.ICMP, address="10.0.0.1"),
        Probe(type=ProbeType.SSH, address="ns", port=22),
    )
    assert safety.poweron_spacing == Spacing(by="label:feed", gap_s=2)
    storm = safety.storm
    assert (storm.min_hosts, storm.cooldown_s) == (5, 120)
    assert storm.burst == Burst(percent=12.5, hosts=4, within_s=60)
    assert storm.domains == (
        DomainRule(by="fleet", threshold_percent=40),
        DomainRule(by="label:row", threshold_percent=40),
        DomainRule(by="label:rack", threshold_percent=80),
    )


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("storm.domains = ['rack']", "storm.domains[0]", "neither fleet, cluster nor label:KEY"),
        ("storm.domains = ['label:']", "storm.domains[0]", "neither fleet, cluster nor label:KEY"),
        ("storm.domains = [{ by = 'Fleet' }]", "storm.domains[0].by", "neither fleet, cluster"),
        ("storm.domains = [{ by = 'fleet', over = 5 }]", "storm.domains[0].over", "unknown key"),
        ("storm.domains = []", "storm.domains", "is empty"),
        ("storm.domains = ['fleet', { by = 'fleet' }]", "storm.domains", "'fleet' twice"),
        ("storm.threshold_percent = 101", "storm.threshold_percent", "between 1 and 100"),
        ("storm.threshold_percent = 0", "storm.threshold_percent", "between 1 and 100"),
        ("storm.threshold_percent = true", "storm.threshold_percent", "number of percent"),
        ("storm.burst.percent = nan", "storm.burst.percent", "between 0 and 100"),
        ("storm.burst.hosts = 0", "storm.burst.hosts", "at least 1"),
        ("storm.burst.within = '0s'", "storm.burst.within", "outside of"),
        ("storm.min_hosts = true", "storm.min_hosts", "whole number"),
        ("poweron_spacing.by = 'pdu'", "poweron_spacing.by", "neither fleet, cluster"),
        ("poweron_spacing.gap = '2d'", "poweron_spacing.gap", "outside of"),
        ("max_concurrent = 0", "max_concurrent", "at least 1"),
        ("per_hour = 1.5", "per_hour", "whole number"),
        ("witnesses = -1", "witnesses", "at least 0"),
        ("loop_window = '31d'", "loop_window", "outside of"),
        ("canaries = [{ type = 'icmp' }]", "canaries[0].address", "is missing"),
        ("canaries = [{ type = 'tcp', address = 'ns' }]", "canaries[0]", "has no port"),
        ("canaries = [{ type = 'icmp', address = '10.0.0' }]", "canaries[0].address", "IP address"),
        (
            "canaries = [{ type = 'ssh', address = 'n' }, { type = 'ssh', address = 'n.' }]",
            "canaries",
            "same canary twice",
        ),
        ("alive_check.command = 'true {name}'", "alive_check.command", "list of words"),
        ("alive_check.command = ['']", "alive_check.command", "empty word"),
        ("alive_check.command = ['x', '{nam}']", "alive_check.command", "{nam} is not known"),
        ("alive_check.on = 'there'", "alive_check.on", "known words"),
        ("alive_check.on_error = 'fence'", "alive_check.on_error", "known words"),
        ("alive_check.timeout = '2m'", "alive_check.timeout", "outside of"),
        ("automatic = 'perhaps'", "automatic", "neither true nor false"),
    ],
)
def test_each_wrong_value_is_named_by_its_place(
    folder: Folder, text: str, key: str, said: str
) -> None:
    found = refused(folder, f"[safety]\n{text}\n")

    assert list(found) == [f"safety.{key}"]
    assert said in found[f"safety.{key}"]


def test_many_wrong_values_are_named_at_once(folder: Folder) -> None:
    text = "[safety]\nper_hour = 0\nstorm.domains = ['rack', 'row']\nstorm.cooldown = 'long'\n"

    assert set(refused(folder, text)) == {
        "safety.per_hour",
        "safety.storm.domains[0]",
        "safety.storm.domains[1]",
        "safety.storm.cooldown",
    }


def test_the_environment_may_say_it_too(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMWATCHD_SAFETY__AUTOMATIC", "false")
    monkeypatch.setenv("PMWATCHD_SAFETY__STORM__THRESHOLD_PERCENT", "60")
    monkeypatch.setenv("PMWATCHD_SAFETY__STORM__DOMAINS", "fleet, label:rack")
    monkeypatch.setenv(
        "PMWATCHD_SAFETY__CANARIES", '[{"type": "tcp", "address": "10.0.0.9", "port": 53}]'
    )

    safety = folder.load().rules.safety

    assert not safety.automatic
    assert [(d.by, d.threshold_percent) for d in safety.storm.domains] == [
        ("fleet", 60),
        ("label:rack", 60),
    ]
    assert safety.canaries == (Probe(type=ProbeType.TCP, address="10.0.0.9", port=53),)


def test_the_effective_values_of_safety_read_as_they_would_be_written(folder: Folder) -> None:
    folder.main(
        "[safety.storm]\ndomains = ['fleet', { by = 'label:rack', threshold_percent = 80 }]\n"
        "burst = { percent = 12.5 }\n"
    )

    values = {
        one.key: (one.value, one.origin, one.ovirt) for one in config.effective(folder.main_file)
    }

    assert values["safety.storm.domains"][:2] == (
        '["fleet", { by = "label:rack", threshold_percent = 80 }]',
        "pmwatchd.toml",
    )
    assert values["safety.storm.threshold_percent"] == (
        *("50", "default"),
        "fencing_policy.skip_if_connectivity_broken.threshold",
    )
    assert values["safety.storm.burst.percent"][0] == "12.5"
    assert values["safety.storm.burst.within"][:2] == ('"30s"', "default")
    assert values["safety.poweron_spacing.gap"][0] == '"0s"'
    assert values["safety.automatic"] == ("true", "default", "fencing_policy.enabled")
    assert values["heartbeat.weak"][0] == '"alive"'
