"""``pmwatchd config``: what counts, where it was written, what oVirt calls it."""

from __future__ import annotations

import pytest

from pmwatchd import config
from pmwatchd.config.durations import as_text, seconds
from pmwatchd.errors import ConfigError
from tests.config.folder import Folder

CLUSTER = """
[clusters.blue]
grace = { period = "90s" }
[[clusters.blue.power_management.agents]]
name = "bmc"
type = "ilo4"
address = "{name}-bmc.example.org"
password = { file = "secret-{name}" }
options = { community = "canary", cipher = 17 }
[devices.pdu]
type = "apc_snmp"
address = "10.2.0.1"
password = "canary"
[[hosts]]
name = "node1"
address = "10.0.0.1"
cluster = "blue"
power_management = { agents = [{ name = "pdu", device = "pdu", plug = "8", order = 2 }] }
"""


def shown(folder: Folder, host: str | None = None) -> dict[str, tuple[str, str, str]]:
    return {
        one.key: (one.value, one.origin, one.ovirt)
        for one in config.effective(folder.main_file, host)
    }


def test_every_value_of_the_main_file_has_its_origin_and_its_ovirt_name(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write("conf.d/a.toml", "grace.period = 90\n")
    monkeypatch.setenv("PMWATCHD_SAFETY__STARTUP_HOLD", "1m")

    values = shown(folder)

    assert values["grace.period"] == ('"90s"', "conf.d/a.toml", "TimeoutToResetVdsInSeconds")
    assert values["grace.failures"] == ("3", "default", "VDSAttemptsToResetCount")
    assert values["safety.startup_hold"] == (
        *('"60s"', "environment PMWATCHD_SAFETY__STARTUP_HOLD"),
        "DisableFenceAtStartupInSec",
    )
    assert values["heartbeat.probes"][0] == '[{ type = "tcp", port = 22 }]'


def test_every_value_of_a_host_says_which_layer_it_is_from(folder: Folder) -> None:
    folder.inventory(CLUSTER)

    values = shown(folder, "node1")

    agents = "power_management.agents"
    assert values["grace.period"][:2] == ('"90s"', "cluster blue (hosts.d/site.toml)")
    assert values["grace.failures"][1] == "default"
    assert values["address"][:2] == ('"10.0.0.1"', "hosts.d/site.toml")
    assert values[f"{agents}.bmc.address"][0] == '"node1-bmc.example.org"'
    assert values[f"{agents}.bmc.settle"][:2] == ('"4s"', "default")
    assert values[f"{agents}.pdu.address"][1] == "device pdu (hosts.d/site.toml)"
    assert values[f"{agents}.pdu.switches"][:2] == ('"feed"', "default")
    assert values["power_management.proxies"][0] == '["cluster", "dc", "engine"]'


def test_secrets_are_masked_and_options_that_look_like_one_too(folder: Folder) -> None:
    folder.inventory(CLUSTER)

    values = shown(folder, "node1")

    assert "canary" not in str(values)
    agents = "power_management.agents"
    assert values[f"{agents}.bmc.password"][0] == '{ file = "secret-{name}" }'
    assert values[f"{agents}.pdu.password"][0] == "********"


def test_a_host_that_is_not_there_is_a_fault(folder: Folder) -> None:
    with pytest.raises(ConfigError, match="no such host"):
        config.effective(folder.main_file, "node1")


def test_a_faulty_main_file_is_a_fault_here_too(folder: Folder) -> None:
    folder.main("grace.period = 'soon'\n")

    with pytest.raises(ConfigError):
        config.effective(folder.main_file)


@pytest.mark.parametrize("text", ["500ms", "5s", "90s", "180s", "5m", "10m", "2h", "30d", "0s"])
def test_a_duration_is_written_as_it_can_be_read_back(text: str) -> None:
    assert as_text(seconds(text)) == text
