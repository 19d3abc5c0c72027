"""What an agent switches is known by device, plug, and the part of the device: behaviour.md 7."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from pmwatchd.core.model import FenceAction, PowerStatus, Switches
from tests.core.scene import Scene, agent, host


def test_an_outlet_is_device_and_plug() -> None:
    assert agent(address="PDU.mgmt.", plug="3").outlet == "pdu.mgmt:/3"
    assert agent(address="pdu.mgmt", ipport=161).outlet == "pdu.mgmt:161/"


@pytest.mark.parametrize("option", ["switch", "systems_uri", "pve_node", "zone", "resourceGroup"])
def test_one_plug_of_two_parts_of_a_device_is_two_outlets(option: str) -> None:
    first, second = (agent(plug="3", options={option: value}) for value in ("a", "b"))

    assert first.outlet != second.outlet
    assert first.outlet.endswith(f"/3;{option}=a")


def test_the_order_of_options_and_what_selects_nothing_change_no_outlet() -> None:
    some = agent(options={"zone": "z", "project": "p"})
    more = agent(options={"project": "p", "lanplus": "1", "switch": "", "zone": "z"})

    assert some.outlet == more.outlet


def test_no_secret_is_in_an_outlet() -> None:
    assert agent(options={"uuid": SecretStr("canary")}).outlet == agent().outlet


def test_an_outlet_of_a_chained_switch_that_did_not_come_back_is_pursued() -> None:
    first, second = (
        agent(
            name,
            address="pdu.mgmt",
            plug="3",
            options={"switch": unit},
            switches=Switches.FEED,
        )
        for name, unit in (("a", "1"), ("b", "2"))
    )
    scene = Scene(host("node7", first, second))
    scene.run(10)
    scene.kill()
    scene.switches["node7", "b"].stuck = {FenceAction.ON}
    scene.until("fence.closed", limit_s=300)

    assert scene.memories["node7"].missing == (second.outlet,)
    scene.switches["node7", "b"].stuck = set()
    scene.run(600)
    assert scene.switches["node7", "b"].power is PowerStatus.ON
