"""What each file says rightly, and all of them together should not say."""

from __future__ import annotations

import pytest

from tests.config.folder import Folder

HOST = "[[hosts]]\nname = 'node1'\naddress = '10.0.0.1'\ncluster = 'blue'\n"
AGENT = "agents = [{ name = 'bmc', type = 'ipmilan', address = '10.1.0.1' }]\n"


def warned(folder: Folder, main: str, inventory: str) -> list[str]:
    folder.main(main)
    folder.inventory(inventory)
    return list(folder.check().warnings)


def test_a_site_with_one_host_is_asked_for_a_canary(folder: Folder) -> None:
    alone = f"{HOST}power_management.{AGENT}[clusters.blue]\n"

    [warning] = warned(folder, "", alone)

    assert "whether the host or our own network is dead" in warning
    assert warned(folder, "safety.canaries = [{ type = 'icmp', address = 'gw' }]\n", alone) == []


def test_the_host_that_the_daemon_runs_on_is_no_witness_of_its_own_network(folder: Folder) -> None:
    alone = f"{HOST}power_management.{AGENT}[clusters.blue]\n"

    beside = "[[hosts]]\nname = 'manager'\naddress = 'm'\nengine = true\n"
    assert len(warned(folder, "", alone + beside)) == 1
    assert warned(folder, "", alone + beside.replace("true", "false")) == []


@pytest.mark.parametrize(
    "text",
    [
        "power_management = { enabled = false, agents = [] }",
        f"safety.automatic = false\npower_management.{AGENT}",
    ],
)
def test_a_site_whose_one_host_is_never_fenced_needs_no_canary(folder: Folder, text: str) -> None:
    assert warned(folder, "", f"{HOST}{text}\n[clusters.blue]\n") == []


@pytest.mark.parametrize("address", ["10.0.0.1", "node1"])
def test_a_canary_that_is_a_host_is_pointed_out(folder: Folder, address: str) -> None:
    main = f"safety.canaries = [{{ type = 'icmp', address = '{address}' }}]\n"

    [warning] = warned(folder, main, f"{HOST}[clusters.blue]\n")

    assert f"the canary {address} is the host node1" in warning


def test_a_domain_by_a_label_that_no_host_has_is_pointed_out(folder: Folder) -> None:
    main = "[safety]\nstorm.domains = ['fleet', 'label:rak']\n"
    labelled = f"{HOST}labels = {{ rack = 'r1' }}\n[clusters.blue]\n"

    [warning] = warned(folder, main, labelled)

    assert "no host has the label 'rak'" in warning
    assert "Did you mean 'rack'?" in warning
    assert warned(folder, main.replace("rak", "rack"), labelled) == []


def test_spacing_by_a_label_that_no_host_has_matters_once_there_is_a_gap(folder: Folder) -> None:
    [warning] = warned(folder, "safety.poweron_spacing.gap = 2\n", f"{HOST}[clusters.blue]\n")

    assert "safety.poweron_spacing: no host has the label 'pdu'" in warning
