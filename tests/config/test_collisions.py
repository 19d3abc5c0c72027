"""What two hosts claim at once costs both: nobody knows which of them is right."""

from __future__ import annotations

import pytest

from tests.config.folder import Folder
from tests.config.test_inventory import HOST, OTHER


@pytest.mark.parametrize(
    ("one", "two"), [("10.0.0.3", "10.0.0.3"), ("N.example.org", "n.example.org."), ("::1", "0::1")]
)
def test_two_hosts_with_one_address_are_both_at_fault(folder: Folder, one: str, two: str) -> None:
    folder.inventory(
        f"[[hosts]]\nname = 'a'\naddress = '{one}'\n[[hosts]]\nname = 'b'\naddress = '{two}'\n"
    )

    loaded = folder.load()

    assert not loaded.hosts
    assert {fault.host for fault in loaded.faults} == {"a", "b"}


def test_only_one_host_is_the_daemon_s_own(folder: Folder) -> None:
    folder.inventory(f"{HOST}engine = true\n{OTHER}engine = true\n")

    assert {fault.key for fault in folder.load().faults} == {
        "hosts.node1.engine",
        "hosts.node2.engine",
    }


def two_hosts_at(one: str, two: str) -> str:
    return "".join(
        f"[[hosts]]\nname = '{name}'\naddress = '{name}.example.org'\n"
        f"power_management = {{ agents = [{{ name = 'a', type = 'pdu', {keys} }}] }}\n"
        for name, keys in (("node1", one), ("node2", two))
    )


def test_two_hosts_at_one_outlet_are_both_at_fault(folder: Folder) -> None:
    same = "address = '10.1.0.1', ipport = 161, plug = '8'"
    folder.inventory(two_hosts_at(same, same))

    loaded = folder.load()

    assert not loaded.hosts
    assert "shared = true" in loaded.faults[0].remedy


def test_two_hosts_at_one_outlet_of_one_switch_behind_an_address_are_both_at_fault(
    folder: Folder,
) -> None:
    same = "address = '10.1.0.1', plug = '8', options = { switch = '2' }"
    folder.inventory(two_hosts_at(same, f"{same[:-1]}, verbose = true }}"))

    assert not folder.load().hosts


def test_one_plug_of_two_switches_behind_an_address_is_two_outlets(folder: Folder) -> None:
    one, two = (f"address = '10.1.0.1', plug = '8', options = {{ switch = '{n}' }}" for n in "12")
    folder.inventory(two_hosts_at(one, two))

    assert len(folder.load().hosts) == 2


def test_what_only_one_of_two_hosts_gives_may_be_the_default_of_the_other(folder: Folder) -> None:
    one = "address = '10.1.0.1', plug = '8', options = { switch = '1' }"
    folder.inventory(two_hosts_at(one, "address = '10.1.0.1', plug = '8'"))

    assert not folder.load().hosts


def test_a_port_that_is_the_agent_s_default_is_the_same_outlet(folder: Folder) -> None:
    folder.script(
        "pdu",
        'echo \'<resource-agent><parameters><parameter name="ipport">'
        '<content default="161"/></parameter></parameters></resource-agent>\'',
    )
    folder.inventory(two_hosts_at("address = '10.1.0.1', ipport = 161", "address = '10.1.0.1'"))

    assert not folder.load().hosts


@pytest.mark.parametrize(
    "two",
    [
        "address = '10.1.0.1', plug = '8', shared = true",
        "address = '10.1.0.1', plug = '9'",
        "address = '10.1.0.2', plug = '8'",
        "address = '10.1.0.1', plug = '8', ipport = 1161",
    ],
)
def test_another_outlet_or_a_shared_one_is_no_fault(folder: Folder, two: str) -> None:
    folder.inventory(two_hosts_at("address = '10.1.0.1', plug = '8', shared = true", two))

    assert len(folder.load().hosts) == 2
