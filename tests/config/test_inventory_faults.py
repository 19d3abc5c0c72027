"""What is wrong in an inventory: said at once, and it costs the hosts concerned."""

from __future__ import annotations

import pytest

from tests.config.folder import Folder
from tests.config.test_inventory import BMC, HOST, OTHER, with_agent, with_agents


def test_a_file_with_eight_different_faults_names_all_eight_in_one_run(folder: Folder) -> None:
    folder.write("conf.d/a.toml", "heartbeat.intervall = 5\n")
    folder.inventory(
        """
        [[hosts]]
        name = "twice"
        address = "10.0.0.1"
        [[hosts]]
        name = "twice"
        address = "10.0.0.2"
        [[hosts]]
        name = "here"
        address = "10.0.0.3"
        [[hosts]]
        name = "there"
        address = "10.0.0.3"
        [[hosts]]
        name = "muddle"
        address = "10.0.0.4"
        [hosts.power_management]
        proxies = ["clutser"]
        [[hosts.power_management.agents]]
        name = "b"
        device = "pdu-gone"
        [[hosts.power_management.agents]]
        name = "a"
        order = "first"
        type = "lab"
        address = "10.1.0.1"
        password = { file = "gone" }
        options = { action = "reboot", method = "cycle" }
        """
    )
    agents = "hosts.muddle.power_management.agents"

    found = {fault.key: fault for fault in folder.check().faults}

    assert {
        "heartbeat.intervall",
        "hosts.twice",
        "hosts.here.address",
        "hosts.there.address",
        "hosts.muddle.power_management.proxies",
        f"{agents}.a.order",
        f"{agents}.a.password",
        f"{agents}.a.options.action",
        f"{agents}.a.options.method",
        f"{agents}.b.device",
    } <= set(found)
    assert all(fault.file and fault.reason and fault.remedy for fault in found.values())


def test_a_faulty_host_costs_only_itself(folder: Folder) -> None:
    folder.inventory(f"{HOST}nmae = 'x'\n{OTHER}")

    loaded = folder.load()

    assert list(loaded.hosts) == ["node2"]
    assert loaded.faults[0].host == "node1"


def test_a_file_that_is_no_toml_costs_only_its_own_hosts(folder: Folder) -> None:
    folder.inventory(HOST, "good.toml")
    folder.inventory("[[hosts]\n", "bad.toml")

    loaded = folder.load()

    assert list(loaded.hosts) == ["node1"]
    assert loaded.faults[0].file.endswith("bad.toml")


@pytest.mark.parametrize("text", ["[defaults\n", "[defaults]\nx =\n", "[types.apc]\nx = \n"])
def test_a_file_that_spoke_for_all_hosts_and_cannot_be_read_costs_all_of_them(
    folder: Folder, text: str
) -> None:
    folder.inventory(HOST, "good.toml")
    folder.inventory(text, "bad.toml")

    assert not folder.load().hosts


def test_a_file_of_which_nobody_knows_what_it_said_costs_all_hosts(folder: Folder) -> None:
    folder.inventory(HOST, "good.toml")
    (folder.path / "hosts.d" / "lost.toml").symlink_to("nowhere")

    loaded = folder.load()

    assert not loaded.hosts
    assert loaded.faults[0].file.endswith("lost.toml")


@pytest.mark.parametrize("place", ["hosts.d", "conf.d"])
def test_the_lock_of_an_editor_is_not_read(folder: Folder, place: str) -> None:
    folder.inventory(HOST)
    (folder.path / place).mkdir(exist_ok=True)
    (folder.path / place / ".#site.toml").symlink_to("somebody@workstation.4711")

    loaded = folder.load()

    assert list(loaded.hosts) == ["node1"]
    assert not loaded.faults


def test_two_faulty_entries_of_a_long_list_hide_no_other(folder: Folder) -> None:
    twice = ", port = 1, ipport = 2"
    more = {9: twice, 10: twice, 11: ", options = { action = 'reboot' }"}
    agents = [
        f"{{ name = 'a{number}', type = 'lab', address = '10.1.0.{number}'{more.get(number, '')} }}"
        for number in range(12)
    ]
    folder.inventory(with_agents(*agents))

    keys = [fault.key for fault in folder.load().faults]

    assert keys == [
        f"hosts.node1.power_management.agents.{key}" for key in ("a9", "a10", "a11.options.action")
    ]


def test_a_faulty_cluster_costs_its_hosts_and_is_said_once(folder: Folder) -> None:
    folder.inventory(
        f"[clusters.blue]\ngrase = 1\n[clusters.green]\n"
        f"{HOST}cluster = 'blue'\n{OTHER}cluster = 'blue'\n"
        "[[hosts]]\nname = 'node3'\naddress = '10.0.0.3'\ncluster = 'green'\n"
    )

    loaded = folder.load()

    assert list(loaded.hosts) == ["node3"]
    assert [(fault.key, fault.host) for fault in loaded.faults] == [("clusters.blue.grase", None)]


def test_faulty_defaults_cost_every_host(folder: Folder) -> None:
    folder.inventory(f"[defaults]\nextra_grase = 1\n{HOST}{OTHER}")

    assert not folder.load().hosts


def test_a_faulty_device_costs_the_hosts_that_it_feeds(folder: Folder) -> None:
    agent = "{ name = 'a', type = 'lab', address = '10.1.0.1', device = 'd' }"
    folder.inventory(f"[devices.d]\nsetle = 1\n{OTHER}{with_agents(agent)}")

    assert list(folder.load().hosts) == ["node2"]


def test_a_fault_that_shows_only_in_the_hosts_of_a_cluster_is_said_once_where_it_is_written(
    folder: Folder,
) -> None:
    folder.inventory(
        f"[clusters.blue.power_management]\nproxies = ['nobody']\n"
        f"{HOST}cluster = 'blue'\n{OTHER}cluster = 'blue'\n"
    )

    fault = folder.fault()

    assert (fault.key, fault.host) == ("clusters.blue.power_management.proxies", None)


@pytest.mark.parametrize("table", ["[defaults]", "[clusters.x]", "[types.lab]", "[devices.d]"])
def test_a_table_that_is_there_twice_is_a_fault(folder: Folder, table: str) -> None:
    folder.inventory(table, "a.toml")
    folder.inventory(table, "b.toml")

    assert "a.toml" in folder.fault().reason


def test_a_host_that_is_there_twice_is_not_watched_at_all(folder: Folder) -> None:
    folder.inventory(HOST, "a.toml")
    folder.inventory("[[hosts]]\nname = 'node1'\naddress = '10.0.0.9'\n", "b.toml")

    loaded = folder.load()

    assert not loaded.hosts
    assert loaded.faults[0].host == "node1"


@pytest.mark.parametrize("order", ["'first'", "'1'", "0", "-1", "1.5", "true"])
def test_an_order_is_a_number_of_at_least_1(folder: Folder, order: str) -> None:
    folder.inventory(with_agent(order=order))

    assert folder.fault().key == "hosts.node1.power_management.agents.a.order"


@pytest.mark.parametrize(
    "proxies",
    ["['clutser']", "['node9']", "['dc', 'datacenter']", "'cluster,,dc,CLUSTER'", "['-x.y']", "3"],
)
def test_a_proxy_word_is_known_and_given_once(folder: Folder, proxies: str) -> None:
    folder.inventory(f"{HOST}power_management = {{ proxies = {proxies} }}\n")

    assert folder.fault().key == "hosts.node1.power_management.proxies"


def test_an_unknown_proxy_word_of_the_main_file_is_blamed_on_it(folder: Folder) -> None:
    extra = folder.write("conf.d/a.toml", "fencing.proxies = ['clutser']\n")
    folder.inventory(HOST + OTHER)

    fault = folder.fault()

    assert (fault.file, fault.key) == (str(extra), "fencing.proxies")


@pytest.mark.parametrize(
    "option",
    [
        *("action", "option", "Action", "ip", "ipaddr", "login", "username", "passwd", "password"),
        *("port", "plug", "ipport", "passwd_script", "password-script", "ipmitool_path"),
        *("debug_file", "identity-file"),
    ],
)
def test_what_the_daemon_sets_itself_or_runs_on_the_proxy_may_not_be_given(
    folder: Folder, option: str
) -> None:
    folder.inventory(with_agent(options=f"{{ '{option}' = 'x' }}"))

    assert folder.fault().key == f"hosts.node1.power_management.agents.a.options.{option}"


def test_forbidden_options_are_found_in_types_and_devices_too(folder: Folder) -> None:
    folder.inventory(
        f"[types.lab]\noptions = {{ action = 'on' }}\n"
        f"[devices.d]\noptions = {{ action = 'on' }}\n{OTHER}" + with_agent()
    )

    loaded = folder.load()

    assert [fault.key for fault in loaded.faults] == [
        "types.lab.options.action",
        "devices.d.options.action",
    ]
    assert list(loaded.hosts) == ["node2"], "a host of a faulty type is not watched"


def test_cycling_is_refused(folder: Folder) -> None:
    folder.inventory(with_agent(options="{ method = 'cycle' }"))

    assert folder.fault().key.endswith("options.method")


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"password": '"a\\nb"'}, "password"),
        ({"password": '"a\\rb"'}, "password"),
        ({"password": "' outer'"}, "password"),
        ({"password": "\"'quoted'\""}, "password"),
        ({"username": '"a\\nb"'}, "username"),
        ({"plug": '"a\\u0000b"'}, "plug"),
        ({"options": '{ vendor = "a\\nb" }'}, "options.vendor"),
        ({"address": "'-o reboot'"}, "address"),
        ({"address": "'10.1.0'"}, "address"),
    ],
)
def test_a_value_that_an_agent_would_read_differently_is_refused(
    folder: Folder, more: dict[str, str], key: str
) -> None:
    folder.inventory(with_agent(**more))

    fault = folder.fault()

    assert fault.key == f"hosts.node1.power_management.agents.a.{key}"
    assert "quoted" not in fault.reason
    assert "outer'" not in fault.reason


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f"{HOST}address2 = 'x'", "hosts.node1.address2"),
        (f"{HOST}kdump = true", "hosts.node1.kdump"),
        ("[[hosts]]\naddress = '10.0.0.1'", "hosts[0].name"),
        ("[[hosts]]\nname = ''\naddress = '10.0.0.1'", "hosts[0].name"),
        ("[[hosts]]\nname = 3\naddress = '10.0.0.1'", "hosts[0].name"),
        ("[[hosts]]\nname = ['x']\naddress = '10.0.0.1'", "hosts[0].name"),
        ("hosts = [3]", "hosts[0]"),
        ("[[hosts]]\nname = '-x'\naddress = '10.0.0.1'", "hosts.-x.name"),
        ("[[hosts]]\nname = 'node1'", "hosts.node1.address"),
        ("[[hosts]]\nname = 'node1'\naddress = 'a b'", "hosts.node1.address"),
        ("[[hosts]]\nname = 'node1'\naddress = '{nmae}.x'", "hosts.node1.address"),
        ("[[hosts]]\nname = 'node1'\naddress = '{label:x}.x'", "hosts.node1.address"),
        ("[[hosts]]\nname = 'node1'\naddress = 'x.{cluster}'", "hosts.node1.address"),
        (f"{HOST}probes = [{{ type = 'snmp' }}]", "hosts.node1.probes[0].type"),
        (f"{HOST}extra_grace = '5 parsecs'", "hosts.node1.extra_grace"),
        (f"{HOST}power_management = {{ kdump = 'yes' }}", "hosts.node1.power_management.kdump"),
        (f"[clusters.blue]\n{HOST}cluster = 'bleu'", "hosts.node1.cluster"),
        (with_agent(device="'gone'"), "hosts.node1.power_management.agents.a.device"),
        (
            with_agent(remove="true", order="1").replace("'lab'", "'x/y'"),
            "hosts.node1.power_management.agents.a.type",
        ),
        (
            with_agents("{ name = 'a', type = 'lab' }"),
            "hosts.node1.power_management.agents.a.address",
        ),
        (
            with_agents("{ name = 'a', address = 'x.y' }"),
            "hosts.node1.power_management.agents.a.type",
        ),
        (with_agents("{ type = 'lab' }"), "hosts.node1.power_management.agents[0].name"),
        (
            with_agents("{ name = 'a', remove = true }"),
            "hosts.node1.power_management.agents.a.remove",
        ),
        (with_agents(BMC, BMC), "hosts.node1.power_management"),
        (with_agent(port="1", ipport="2"), "hosts.node1.power_management.agents.a"),
        (
            with_agent(plug="'1'", options="'slot=2'"),
            "hosts.node1.power_management.agents.a.options.slot",
        ),
        (
            with_agent(options="{ a-b = 1, a_b = 2 }"),
            "hosts.node1.power_management.agents.a.options.a_b",
        ),
        (with_agent(options="'a=1,a=2'"), "hosts.node1.power_management.agents.a.options"),
        (
            with_agent(options="{ power_wait = 'long' }"),
            "hosts.node1.power_management.agents.a.options.power_wait",
        ),
        (with_agent(password="{ flie = 'x' }"), "hosts.node1.power_management.agents.a.password"),
        ("[clusters.'<']", "clusters.<"),
        ("[types.'a/b']", "types.a/b"),
        ("[types]\nlab = 3", "types.lab"),
        ("clusters = 3", "clusters"),
        ("hosts = 3", "hosts"),
        ("[[host]]\nname = 'x'", "host"),
    ],
)
def test_each_fault_is_named_by_its_place(folder: Folder, text: str, key: str) -> None:
    folder.inventory(text)

    loaded = folder.load()

    assert [fault.key for fault in loaded.faults] == [key]
    assert "node1" not in loaded.hosts


def test_a_missing_folder_is_a_fault(folder: Folder) -> None:
    (folder.path / "hosts.d").rmdir()

    assert folder.fault().key == "inventory"


def test_a_fault_of_the_main_file_does_not_hide_those_of_the_inventory(folder: Folder) -> None:
    folder.main("[grace]\nperiod = 'soon'\n")
    folder.inventory("[[hosts]]\nname = 'node1'\n")

    assert {fault.key for fault in folder.check().faults} == {
        "grace.period",
        "hosts.node1.address",
    }


def test_an_inventory_file_that_is_nested_without_measure_costs_its_own_hosts(
    folder: Folder,
) -> None:
    folder.inventory(HOST, "a.toml")
    folder.inventory("hosts = " + "[" * 3000, "b.toml")

    loaded = folder.load()

    assert set(loaded.hosts) == {"node1"}
    assert "nested too deeply" in loaded.faults[0].reason
