"""Crash dumps in the main file and in the inventory."""

from __future__ import annotations

import pytest

from pmwatchd import config
from pmwatchd.core.rules import KdumpRules
from pmwatchd.errors import ConfigError
from tests.config.folder import Folder

HOST = "[[hosts]]\nname = '{name}'\naddress = '{name}.example.org'\ncluster = 'blue'\n"
HOSTS = HOST.format(name="node1") + HOST.format(name="node2")
BLUE = "[clusters.blue]\npower_management.kdump = true\n"


def listening(folder: Folder, text: str = "") -> None:
    folder.write("conf.d/kdump.toml", f"[kdump]\nenabled = true\n{text}")


def test_nobody_listens_for_crash_dumps_unless_it_is_said(folder: Folder) -> None:
    loaded = folder.load()

    assert not loaded.rules.kdump.enabled
    assert config.split_address(loaded.settings.kdump.listen) == ("::", 7410)


def test_what_is_said_of_crash_dumps_reaches_the_rules(folder: Folder) -> None:
    listening(
        folder,
        "listen = '10.0.0.2:7411'\nstart_window = '1m'\nquiet_after = '45s'\nceiling = '1h'\n",
    )

    loaded = folder.load()

    assert loaded.settings.kdump.listen == "10.0.0.2:7411"
    assert loaded.rules.kdump == KdumpRules(
        enabled=True, start_window_s=60, quiet_after_s=45, ceiling_s=3600
    )


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("listen = '7410'", "kdump.listen"),
        ("listen = ['[::]:7410']", "kdump.listen"),
        ("listen = '10.0.0.2:70000'", "kdump.listen"),
        ("start_window = '2h'", "kdump.start_window"),
        ("quiet_after = 0", "kdump.quiet_after"),
        ("ceiling = '2d'", "kdump.ceiling"),
        ("celling = '1h'", "kdump.celling"),
    ],
)
def test_a_fault_is_named_by_its_place(folder: Folder, text: str, key: str) -> None:
    listening(folder, text)

    with pytest.raises(ConfigError) as raised:
        folder.load()

    assert [fault.key for fault in raised.value.faults] == [key]


@pytest.mark.parametrize(
    "above", [BLUE, "[defaults.power_management]\nkdump = true\n[clusters.blue]\n"]
)
def test_a_host_takes_kdump_from_its_cluster_or_the_defaults_and_may_refuse_it(
    folder: Folder, above: str
) -> None:
    listening(folder)
    folder.inventory(f"{above}{HOSTS}power_management = {{ kdump = false }}\n")

    loaded = folder.load()

    assert (loaded.faults, loaded.warnings) == ((), ())
    assert loaded.hosts["node1"].power_management.kdump
    assert not loaded.hosts["node2"].power_management.kdump


def test_a_host_that_says_nothing_sends_nothing(folder: Folder) -> None:
    folder.inventory(HOST.format(name="node1").replace("cluster = 'blue'", ""))

    assert not folder.host().power_management.kdump
    assert folder.load().warnings == ()


def test_hosts_that_send_while_nobody_listens_are_pointed_out_once_where_it_is_written(
    folder: Folder,
) -> None:
    folder.inventory(f"{BLUE}{HOSTS}")

    loaded = folder.load()

    [warning] = loaded.warnings
    assert "clusters.blue.power_management.kdump is true" in warning
    assert "kdump.enabled = true" in warning
    assert loaded.hosts["node2"].power_management.kdump
    assert folder.check().warnings == loaded.warnings


def test_the_effective_values_say_where_kdump_was_written(folder: Folder) -> None:
    listening(folder, "ceiling = '45m'\n")
    folder.inventory(f"{BLUE}{HOSTS}{HOST.format(name='node3').replace('blue', 'red')}")
    folder.inventory("[clusters.red]\n", "red.toml")

    main = {one.key: one for one in config.effective(folder.main_file)}
    hosts = {
        name: {one.key: one for one in config.effective(folder.main_file, name)}
        for name in ("node1", "node3")
    }

    assert (main["kdump.ceiling"].value, main["kdump.ceiling"].origin) == (
        '"45m"',
        "conf.d/kdump.toml",
    )
    assert (main["kdump.listen"].value, main["kdump.listen"].origin) == ('"[::]:7410"', "default")
    key = "power_management.kdump"
    assert (hosts["node1"][key].value, hosts["node1"][key].origin) == (
        "true",
        "cluster blue (hosts.d/site.toml)",
    )
    assert (hosts["node3"][key].value, hosts["node3"][key].origin) == ("false", "default")
