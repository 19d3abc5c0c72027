"""A value that nobody thought of costs its own host, or its own file, and never the daemon."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pmwatchd.config.agents import AgentBuilder
from pmwatchd.config.draft import Draft
from pmwatchd.config.faults import Findings
from pmwatchd.config.hosts import HostBuilder
from pmwatchd.config.inventory import read_inventory
from pmwatchd.config.secrets import Reading, Secrets
from pmwatchd.config.sources import load_settings
from pmwatchd.config.tree import Origin, Tree
from pmwatchd.core.model import FenceAgent
from tests.config.folder import Folder
from tests.config.test_inventory import OTHER, with_agent

AT = "hosts.node1.power_management.agents.a"


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"options": "{ slot = { env = 'SLOT' } }"}, "options.slot"),
        ({"min_command_interval": "9" * 400}, "min_command_interval"),
        ({"min_command_interval": f"'{'9' * 400}h'"}, "min_command_interval"),
        ({"min_command_interval": "1e306"}, "min_command_interval"),
        ({"settle": f"0x{'f' * 5000}"}, "settle"),
        ({"plug": f"0x{'f' * 5000}"}, "plug"),
        ({"options": f"{{ power_wait = {'9' * 400} }}"}, "options.power_wait"),
        ({"password": f"{{ credential = '{'a' * 250}' }}"}, "password"),
        ({"password": f"{{ file = '{'a' * 5000}' }}"}, "password"),
    ],
)
def test_an_odd_value_of_one_host_costs_that_host_and_is_named(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, more: dict[str, str], key: str
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder.path))
    folder.inventory(with_agent(**more), "a.toml")
    folder.inventory(OTHER, "b.toml")

    loaded = folder.load()

    assert set(loaded.hosts) == {"node2"}
    [fault] = loaded.faults
    assert (fault.key, fault.host) == (f"{AT}.{key}", "node1")
    assert fault.file.endswith("a.toml")
    assert "999" not in fault.reason


def test_a_number_of_thousands_of_digits_costs_its_file_and_its_line_is_named(
    folder: Folder,
) -> None:
    folder.inventory(with_agent(options=f"{{ a = {'1' * 5000} }}"), "a.toml")
    folder.inventory(OTHER, "b.toml")

    loaded = folder.load()

    assert set(loaded.hosts) == {"node2"}
    [fault] = loaded.faults
    assert fault.file.endswith("a.toml")
    assert fault.key == "line 4 (a)"


def test_a_slot_that_is_the_only_option_is_the_plug_and_no_option_any_more(folder: Folder) -> None:
    folder.inventory(with_agent(options="{ slot = 8 }"))

    agent = folder.fence_agent()

    assert (agent.plug, dict(agent.options)) == ("8", {})


@pytest.mark.parametrize("content", ["cycle", "Cycle\n", "'cycle'"])
def test_what_may_not_be_a_value_is_refused_wherever_it_lies(folder: Folder, content: str) -> None:
    folder.write("hosts.d/method", content)
    folder.inventory(with_agent(options="{ method = { file = 'method' } }"))

    loaded = folder.load()

    assert not loaded.hosts
    assert {fault.key for fault in loaded.faults} == {f"{AT}.options.method"}


@dataclass(frozen=True, slots=True)
class Surprised(AgentBuilder):
    """Meets a value that nobody thought of, and tells it."""

    def build(self, draft: Draft, tree: Tree, origin: Origin) -> FenceAgent:  # noqa: ARG002 - as the builder has it
        raise ArithmeticError("s3cret")


def test_a_surprise_costs_the_host_in_which_it_lies_and_does_not_tell_the_value(
    folder: Folder,
) -> None:
    folder.inventory(with_agent() + OTHER)
    findings = Findings()
    loaded = load_settings(folder.main_file, findings)
    inventory = read_inventory(folder.path / "hosts.d", findings)
    builder = HostBuilder(loaded, inventory, Secrets(Reading.NEEDED), findings)
    usual = builder.agents
    builder.agents = Surprised(usual.inventory, usual.installed, usual.implicit_proxies)

    assert builder.build("node1") is None
    assert builder.build("node2") is not None
    [fault] = findings.faults
    assert (fault.key, fault.host) == ("hosts.node1", "node1")
    assert "ArithmeticError" in fault.reason
    assert "s3cret" not in str(fault)
