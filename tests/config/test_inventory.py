"""The inventory: what is merged over what, and what comes out."""

from __future__ import annotations

import time

import pytest
from pydantic import SecretStr

from pmwatchd.core.model import AsProxy, Grace, Probe, ProbeType, Switches
from tests.config.folder import Folder

HOST = "[[hosts]]\nname = 'node1'\naddress = '10.0.0.1'\n"
OTHER = "[[hosts]]\nname = 'node2'\naddress = '10.0.0.2'\n"
BMC = "{ name = 'bmc', type = 'ipmilan', address = '10.1.0.1' }"


def with_agents(*agents: str) -> str:
    return f"{HOST}power_management = {{ agents = [{', '.join(agents)}] }}\n"


def with_agent(**more: str) -> str:
    keys = {"name": "'a'", "type": "'lab'", "address": "'10.1.0.1'"} | more
    return with_agents("{" + ", ".join(f"{key} = {text}" for key, text in keys.items()) + "}")


def test_an_empty_inventory_loads_and_watches_nothing(folder: Folder) -> None:
    loaded = folder.load()

    assert (dict(loaded.hosts), loaded.faults) == ({}, ())


def test_a_host_says_nothing_but_its_name_and_address_and_takes_the_rest_from_above(
    folder: Folder,
) -> None:
    folder.write("conf.d/a.toml", "grace.failures = 5\nssh.user = 'fence'\nssh.port = 2222\n")
    folder.inventory(HOST)

    host = folder.host()

    assert host.grace == Grace(period_s=60, failures=5)
    assert host.heartbeat.probes == (Probe(type=ProbeType.TCP, address="10.0.0.1", port=22),)
    assert host.as_proxy == AsProxy(user="fence", port=2222, address="10.0.0.1")
    assert host.boot_timeout_s == 600
    assert host.power_management.proxies == ("cluster", "dc", "engine")
    assert not host.power_management.agents


def test_the_host_wins_over_its_cluster_over_the_defaults_over_the_main_file(
    folder: Folder,
) -> None:
    folder.write("conf.d/a.toml", "grace = { period = '1s', failures = 1 }\n")
    folder.inventory(
        """
        [defaults]
        cluster = "blue"
        grace = { period = "2s", failures = 2 }
        extra_grace = "2s"
        boot_timeout = "2s"
        [clusters.blue]
        grace = { period = "3s" }
        extra_grace = "3s"
        datacenter = "east"
        [[hosts]]
        name = "node1"
        address = "10.0.0.1"
        extra_grace = "4s"
        """
    )

    host = folder.host()

    assert host.grace == Grace(period_s=3, failures=2)
    assert (host.extra_grace_s, host.boot_timeout_s) == (4, 2)
    assert (host.cluster, host.datacenter) == ("blue", "east")


def test_tables_merge_and_lists_are_replaced(folder: Folder) -> None:
    folder.inventory(
        """
        [defaults]
        labels = { rack = "r1", room = "a" }
        probes = [{ type = "tcp", port = 22 }, { type = "icmp" }]
        [defaults.power_management]
        proxies = ["engine", "other_dc"]
        [[hosts]]
        name = "node1"
        address = "10.0.0.1"
        labels = { rack = "r2" }
        probes = [{ type = "ssh", address = "{name}.example.org" }]
        power_management = { proxies = ["DataCenter"] }
        """
    )

    host = folder.host()

    assert host.labels == {"rack": "r2", "room": "a"}
    assert [(p.type, p.address, p.port) for p in host.heartbeat.probes] == [
        ("ssh", "node1.example.org", 22)
    ]
    assert host.power_management.proxies == ("dc", "engine", "cluster")


def test_agents_merge_by_name_and_remove_drops_one(folder: Folder) -> None:
    folder.inventory(
        """
        [[clusters.blue.power_management.agents]]
        name = "bmc"
        type = "ipmilan"
        address = "{name}-bmc.example.org"
        options = { lanplus = true, cipher = 17 }
        [[clusters.blue.power_management.agents]]
        name = "pdu"
        type = "apc_snmp"
        address = "10.2.0.1"
        [[hosts]]
        name = "node1"
        address = "10.0.0.1"
        cluster = "blue"
        [[hosts.power_management.agents]]
        name = "bmc"
        order = 2
        options = { cipher = 3 }
        [[hosts.power_management.agents]]
        name = "pdu"
        remove = true
        """
    )

    agent = folder.fence_agent()

    assert (agent.name, agent.order, agent.address) == ("bmc", 2, "node1-bmc.example.org")
    assert agent.options == {"lanplus": "1", "cipher": "3"}


def test_an_agent_is_laid_over_its_device_and_that_over_its_type(folder: Folder) -> None:
    folder.inventory(
        """
        [types.apc_snmp]
        username = "of-type"
        ipport = 1161
        options = { snmp_version = "3", snmp_sec_level = "of-type" }
        [devices.pdu-r12-a]
        type = "fence_apc_snmp"
        address = "10.2.12.1"
        username = "of-device"
        options = { snmp_sec_level = "of-device" }
        min_command_interval = "500ms"
        proxies = "engine"
        """
        + with_agents("{ name = 'pdu', device = 'pdu-{label:rack}-a', plug = 8 }")
        + "labels = { rack = 'r12' }"
    )

    agent = folder.fence_agent()

    assert (agent.type, agent.address, agent.ipport, agent.plug) == (
        *("apc_snmp", "10.2.12.1"),
        *(1161, "8"),
    )
    assert agent.username == "of-device"
    assert agent.options == {"snmp_version": "3", "snmp_sec_level": "of-device"}
    assert agent.min_command_interval_s == 0.5
    assert agent.proxies == ("engine", "cluster", "dc")


def test_texts_may_hold_the_name_cluster_datacenter_and_labels(folder: Folder) -> None:
    folder.inventory(
        """
        [defaults]
        address = "{name}.{cluster}.{datacenter}.{label:site}.example.org"
        [[hosts]]
        name = "node1"
        cluster = "blue"
        datacenter = "dc-{label:site}"
        labels = { site = "x" }
        """
    )

    assert folder.host().address == "node1.blue.dc-x.x.example.org"


def test_options_are_a_table_or_written_as_ovirt_does(folder: Folder) -> None:
    folder.inventory(with_agent(options="'lanplus=1,cipher=17,ssl-insecure'"))

    assert folder.fence_agent().options == {"lanplus": "1", "cipher": "17", "ssl_insecure": "1"}


def test_ovirt_s_words_are_understood(folder: Folder) -> None:
    folder.inventory(with_agent(type="'drac7'", options="{ slot = 3, secure = true }"))

    agent = folder.fence_agent()

    assert (agent.type, agent.plug, agent.options) == ("ipmilan", "3", {"ssh": "1"})


def test_concurrent_is_short_for_one_order_for_all(folder: Folder) -> None:
    folder.inventory(
        f"""{HOST}[hosts.power_management]
        concurrent = true
        agents = [
          {{ name = "a", order = 1, type = "lab", address = "10.1.0.1" }},
          {{ name = "b", order = 2, type = "lab", address = "10.1.0.2" }},
        ]
        """
    )

    assert [[agent.name for agent in group] for group in folder.host().groups] == [["a", "b"]]
    assert folder.load().warnings == ()


def test_several_agents_without_an_order_are_concurrent_and_that_is_pointed_out(
    folder: Folder,
) -> None:
    folder.inventory(with_agents(BMC, "{ name = 'b', type = 'lab', address = '10.1.0.2' }"))

    assert len(folder.host().groups) == 1
    assert "have no order" in folder.load().warnings[0]


@pytest.mark.parametrize(
    ("more", "settle_s"),
    [
        ({"type": "'ilo4'"}, 4),
        ({"type": "'ipmilan'"}, 0),
        ({"type": "'ilo4'", "settle": "'1s'"}, 1),
        ({"type": "'ipmilan'", "options": "{ power_wait = 7 }"}, 7),
        ({"type": "'ilo3'", "options": "'power_wait=7'"}, 7),
    ],
)
def test_settle_is_what_the_operator_says_or_gave_as_power_wait_or_what_the_type_needs(
    folder: Folder, more: dict[str, str], settle_s: float
) -> None:
    folder.inventory(with_agent(**more))

    agent = folder.fence_agent()

    assert agent.settle_s == settle_s
    assert "power_wait" not in agent.options


@pytest.mark.parametrize(
    ("agent_type", "switches"),
    [("apc_snmp", Switches.FEED), ("raritan", Switches.FEED), ("ipmilan", Switches.CHASSIS)],
)
def test_outlets_feed_a_host_and_everything_else_switches_its_chassis(
    folder: Folder, agent_type: str, switches: Switches
) -> None:
    folder.inventory(with_agent(type=f"'{agent_type}'"))

    assert folder.fence_agent().switches is switches


def test_port_on_an_agent_is_understood_as_ipport_with_a_warning(folder: Folder) -> None:
    folder.inventory(with_agent(port="6230"))

    assert folder.fence_agent().ipport == 6230
    assert "understood as ipport" in folder.load().warnings[0]


def test_the_preferences_are_complete_and_an_empty_list_means_the_default(folder: Folder) -> None:
    folder.write("conf.d/a.toml", "fencing.proxies = ['dc']\n")
    folder.inventory(f"{HOST}power_management = {{ proxies = [] }}\n")

    assert folder.host().power_management.proxies == ("dc", "engine", "cluster")


def test_nothing_is_implied_when_implicit_proxies_are_off(folder: Folder) -> None:
    folder.write("conf.d/a.toml", "fencing.implicit_proxies = false\n")
    folder.inventory(f"{HOST}power_management = {{ proxies = ['engine'] }}\n")

    assert folder.host().power_management.proxies == ("engine",)


@pytest.mark.parametrize("word", ["node1", "10.9.9.9", "fe80::1", "manager.example.org"])
def test_a_proxy_is_named_as_in_the_inventory_by_address_or_with_a_dot(
    folder: Folder, word: str
) -> None:
    folder.inventory(f"{HOST}power_management = {{ proxies = ['{word}'] }}\n")

    assert folder.host().power_management.proxies[0] == word


def test_the_host_s_own_heartbeat_and_proxy_settings_count(folder: Folder) -> None:
    folder.inventory(
        f"""{HOST}engine = true
        as_proxy = {{ enabled = false, user = "u", port = 2022, address = "10.9.0.1" }}
        [hosts.heartbeat]
        interval = "1s"
        require = "all"
        probes = [
          {{ type = "http", path = "/up", tls = true }}, {{ type = "http" }}, {{ type = "icmp" }}
        ]
        """
    )

    host = folder.host()

    assert host.engine
    assert host.as_proxy == AsProxy(enabled=False, user="u", port=2022, address="10.9.0.1")
    assert (host.heartbeat.interval_s, host.heartbeat.require_all) == (1, True)
    assert [(p.port, p.path, p.tls) for p in host.heartbeat.probes] == [
        (443, "/up", True),
        (80, "/", False),
        (None, "/", False),
    ]


def test_a_plain_password_works_and_is_warned_of_without_being_shown(folder: Folder) -> None:
    folder.inventory(with_agent(password="'canary'"))

    loaded = folder.load()

    assert loaded.hosts["node1"].power_management.agents[0].password == SecretStr("canary")
    assert "plain text" in loaded.warnings[0]
    assert "canary" not in repr(loaded)


def test_a_cluster_is_a_mere_name_as_long_as_no_cluster_has_a_table(folder: Folder) -> None:
    folder.inventory(f"{HOST}cluster = 'blue'\n")

    assert folder.host().cluster == "blue"


def test_a_thousand_hosts_load_in_well_under_two_seconds_of_work(folder: Folder) -> None:
    folder.inventory(
        "".join(
            f"[[hosts]]\nname = 'node{n}'\naddress = 'node{n}.example.org'\n"
            "power_management = { agents = [{ name = 'a', type = 'lab', "
            "address = '{name}.bmc.example.org' }] }\n"
            for n in range(1000)
        )
    )

    began_s = time.process_time()
    hosts = folder.load().hosts

    assert len(hosts) == 1000
    assert time.process_time() - began_s < 2
