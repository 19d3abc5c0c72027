"""What a cluster or a host says itself: shadow mode, alive check, soft fencing, priority."""

from __future__ import annotations

import pytest

from pmwatchd import config
from pmwatchd.core.model import AliveCheck, SoftFencing
from tests.config.folder import Folder

HOST = "[[hosts]]\nname = 'node1'\naddress = '10.0.0.1'\ncluster = 'blue'\n"


def test_shadow_mode_and_the_alive_check_are_the_main_files_unless_a_host_says_otherwise(
    folder: Folder,
) -> None:
    folder.main("[safety]\nautomatic = false\nalive_check = { command = ['lease', '{name}'] }\n")
    folder.inventory(f"{HOST}[clusters.blue]\n[[hosts]]\nname = 'node2'\naddress = 'b'\n")

    hosts = folder.load().hosts

    assert [host.automatic for host in hosts.values()] == [False, False]
    assert [host.alive_check for host in hosts.values()] == [
        AliveCheck(command=("lease", "node1")),
        AliveCheck(command=("lease", "node2")),
    ]


@pytest.mark.parametrize("table", ["[clusters.blue.safety]", "[defaults.safety]"])
def test_a_host_takes_its_safety_from_its_cluster_or_the_defaults(
    folder: Folder, table: str
) -> None:
    folder.inventory(
        f"{HOST}[hosts.safety]\nalive_check = {{ on_error = 'ignore' }}\n[clusters.blue]\n{table}\n"
        "automatic = false\n"
        "alive_check = { command = ['lease', '{name}', '{address}'], on = 'proxy', timeout = 5 }\n"
    )

    host = folder.host()

    assert not host.automatic
    assert host.alive_check == AliveCheck(
        command=("lease", "node1", "10.0.0.1"),
        through_proxy=True,
        timeout_s=5,
        hold_on_error=False,
    )


def test_a_host_may_do_without_the_alive_check_of_its_cluster(folder: Folder) -> None:
    folder.inventory(
        "[clusters.blue.safety]\nalive_check = { command = ['lease'] }\n"
        f"{HOST}[hosts.safety]\nalive_check = {{ command = [] }}\n"
    )

    assert folder.host().alive_check is None


@pytest.mark.parametrize("table", ["hosts.safety", "clusters.blue.safety", "defaults.safety"])
def test_an_alive_check_may_take_as_long_as_a_last_look_is_patient_wherever_it_is_written(
    folder: Folder, table: str
) -> None:
    folder.inventory(f"{HOST}[{table}]\nalive_check = {{ timeout = '21s' }}\n")

    assert "20s" in folder.fault().reason


def test_the_words_of_the_alive_check_are_filled_in(folder: Folder) -> None:
    folder.inventory(
        f"{HOST}labels = {{ rack = 'r12' }}\n[hosts.safety]\n"
        "alive_check = { command = ['lease', '--rack={label:rack}', '{cluster}', ''] }\n"
        "[clusters.blue]\n"
    )

    check = folder.host().alive_check

    assert check is not None
    assert check.command == ("lease", "--rack=r12", "blue", "")


def test_a_word_of_the_alive_check_that_stands_for_nothing_costs_the_host(folder: Folder) -> None:
    folder.main("[safety]\nalive_check = { command = ['lease', '{label:rack}'] }\n")
    folder.inventory(HOST.replace("cluster = 'blue'\n", ""))

    loaded = folder.load()

    [fault] = loaded.faults
    assert fault.key == "safety.alive_check.command"
    assert "{label:rack}" in fault.reason
    assert loaded.hosts == {}


def test_an_address_stands_in_for_nothing_but_the_alive_check(folder: Folder) -> None:
    folder.inventory(f"{HOST}as_proxy = {{ address = '{{address}}' }}\n[clusters.blue]\n")

    assert "{address}" in folder.fault().reason


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("safety = { startup_hold = 5 }", "safety.startup_hold", "unknown key"),
        ("safety = { automatic = 'no' }", "safety.automatic", "neither true nor false"),
        ("safety = { alive_check = { timeout = 0 } }", "safety.alive_check.timeout", "outside"),
        ("heartbeat = { weak = 'dead' }", "heartbeat.weak", "known words"),
        ("labels = { priority = 'high' }", "labels.priority", "whole number"),
        (
            'power_management = { soft_fencing = { command = "a\\nb" } }',
            "power_management.soft_fencing.command",
            "line break",
        ),
        (
            "power_management = { soft_fencing = { command = 'a', wait = '2h' } }",
            "power_management.soft_fencing.wait",
            "outside",
        ),
        (
            "power_management = { soft_fencing = 'a' }",
            "power_management.soft_fencing",
            "is not a table",
        ),
    ],
)
def test_each_wrong_value_of_a_host_is_named_by_its_place(
    folder: Folder, text: str, key: str, said: str
) -> None:
    folder.inventory(f"{HOST}{text}\n[clusters.blue]\n")

    fault = folder.fault()

    assert fault.key == f"hosts.node1.{key}"
    assert fault.host == "node1"
    assert said in fault.reason


def test_a_weak_sign_counts_unless_the_fleet_the_cluster_or_the_host_says_otherwise(
    folder: Folder,
) -> None:
    folder.main("heartbeat.weak = 'silent'\n")
    folder.inventory(
        f"{HOST}[clusters.blue.heartbeat]\nweak = 'alive'\n"
        "[[hosts]]\nname = 'node2'\naddress = 'b'\n"
    )

    hosts = folder.load().hosts

    assert [host.heartbeat.weak_is_silent for host in hosts.values()] == [False, True]


def test_soft_fencing_is_merged_key_by_key_and_an_empty_command_switches_it_off(
    folder: Folder,
) -> None:
    folder.inventory(
        "[defaults.power_management]\nsoft_fencing = { command = 'revive {name}' }\n"
        f"{HOST}power_management = {{ soft_fencing = {{ wait = '5s' }} }}\n[clusters.blue]\n"
        "[[hosts]]\nname = 'node2'\naddress = 'b'\n"
        "power_management = { soft_fencing = { command = '' } }\n"
        "[[hosts]]\nname = 'node3'\naddress = 'c'\n"
    )

    hosts = folder.load().hosts

    assert [host.power_management.soft_fencing for host in hosts.values()] == [
        SoftFencing(command="revive node1", wait_s=5),
        None,
        SoftFencing(command="revive node3", wait_s=60),
    ]


@pytest.mark.parametrize(("text", "kept"), [("-5", "-5"), ("'+07'", "7"), ("0", "0")])
def test_a_priority_is_a_whole_number(folder: Folder, text: str, kept: str) -> None:
    folder.inventory(f"{HOST}labels = {{ priority = {text} }}\n[clusters.blue]\n")

    assert folder.host().labels["priority"] == kept


def test_the_effective_values_of_a_host_say_where_its_safety_was_written(folder: Folder) -> None:
    folder.inventory(
        "[clusters.blue.safety]\nautomatic = false\n"
        "alive_check = { command = ['lease', '{name}'] }\n"
        "[clusters.blue.power_management]\nsoft_fencing = { command = 'revive {name}' }\n" + HOST
    )

    values = {
        one.key: (one.value, one.origin, one.ovirt)
        for one in config.effective(folder.main_file, "node1")
    }

    blue = "cluster blue (hosts.d/site.toml)"
    assert values["safety.automatic"] == ("false", blue, "fencing_policy.enabled")
    assert values["safety.alive_check.command"][:2] == ('["lease", "node1"]', blue)
    assert values["safety.alive_check.timeout"][:2] == ('"10s"', "default")
    assert values["power_management.soft_fencing.command"] == (
        *('"revive node1"', blue),
        "SshSoftFencingCommand",
    )
    assert values["power_management.soft_fencing.wait"][:2] == ('"60s"', "default")
