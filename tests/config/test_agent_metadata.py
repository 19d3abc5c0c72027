"""What installed agents say of themselves is held against the inventory."""

from __future__ import annotations

from pathlib import Path

import pytest

from pmwatchd.config.metadata import Installed
from tests.config.folder import Folder
from tests.config.test_inventory import with_agent

DEBIAN = Path("/usr/sbin")


def test_an_option_that_the_installed_agent_does_not_know_is_a_fault(folder: Folder) -> None:
    folder.agent("lab", "lanplus", "cipher")
    folder.inventory(with_agent(options="{ lanplus = 1, cypher = 17 }"))

    fault = folder.fault()

    assert fault.key == "hosts.node1.power_management.agents.a.options.cypher"
    assert fault.remedy == "Did you mean 'cipher'?"


def test_options_are_compared_in_one_spelling(folder: Folder) -> None:
    folder.agent("lab", "ssl_insecure", "ssh")
    folder.inventory(with_agent(options="{ ssl-insecure = 1, secure = 1 }"))

    assert folder.fence_agent().options == {"ssl_insecure": "1", "ssh": "1"}
    assert folder.fence_agent().options_checked


def test_the_agents_own_waiting_is_switched_off_where_it_runs_and_not_here(folder: Folder) -> None:
    folder.agent("lab", "power_wait")
    folder.inventory(with_agent())

    assert folder.fence_agent().options == {}


@pytest.mark.parametrize(
    ("default", "options", "device"),
    [
        ("161", "", "10.1.0.1:161"),
        ("23", "", "10.1.0.1:23"),
        ("23", "ssh = 1", "10.1.0.1:22"),
        ("80", "ssl = true", "10.1.0.1:443"),
        ("80", "ssl_secure = true", "10.1.0.1:443"),
        ("80", "ssl = 0", "10.1.0.1:80"),
        ("", "", "10.1.0.1:"),
    ],
)
def test_a_device_is_known_by_the_port_that_its_agent_takes_by_itself(
    folder: Folder, default: str, options: str, device: str
) -> None:
    port = f'<parameter name="ipport"><content default="{default}"/></parameter>'
    known = ("ssh", "ssl", "ssl_secure")
    more = "".join(f'<parameter name="{name}"/>' for name in known)
    folder.script("lab", f"echo '<resource-agent>{port}{more}</resource-agent>'")
    folder.inventory(with_agent(options=f"{{ {options} }}"))

    agent = folder.fence_agent()

    assert agent.device == device
    assert agent.ipport is None  # to be told a port could be wrong where more options are set


def test_an_agent_that_requires_a_plug_and_has_none_is_a_fault(folder: Folder) -> None:
    folder.agent("lab", required=("plug",))
    folder.inventory(with_agent())

    assert folder.fault().key == "hosts.node1.power_management.agents.a.plug"


def test_an_agent_that_requires_a_plug_and_has_one_is_sound(folder: Folder) -> None:
    folder.agent("lab", required=("plug",))
    folder.inventory(with_agent(plug="'8'"))

    assert folder.fence_agent().plug == "8"


def test_an_agent_that_is_not_installed_here_is_a_note_because_its_proxies_may_have_it(
    folder: Folder,
) -> None:
    folder.inventory(with_agent(options="{ anything = 1 }"))

    report = folder.check()

    assert report.faults == ()
    assert not folder.fence_agent().options_checked
    assert "fence_lab is not in" in report.notes[0]


@pytest.mark.parametrize(
    "shell",
    [
        "exit 1",
        "echo no xml",
        "echo '<resource-agent/>'",
        "yes '<resource-agent>'",
        "echo '<!DOCTYPE x [<!ENTITY a \"b\">]><resource-agent/>'",
    ],
)
def test_an_installed_agent_that_does_not_say_what_it_is_is_a_fault(
    folder: Folder, shell: str
) -> None:
    folder.script("lab", shell)
    folder.inventory(with_agent())

    fault = folder.fault()

    assert fault.key == "hosts.node1.power_management.agents.a.type"
    assert "fence_lab" in fault.reason


def test_an_agent_that_is_slow_on_a_busy_machine_costs_no_host(folder: Folder) -> None:
    program = folder.script("lab", "exec sleep 600")
    installed = Installed(program.parent, patience_s=0.05)
    installed.ask_ahead(["lab"])

    assert installed.describe("lab") is None  # as if it were not here, which is a note
    assert installed.silence_of("lab") == "fence_lab did not say within 0.05 s what it is"


def test_an_agent_that_cannot_be_started_is_a_fault(folder: Folder) -> None:
    folder.write("agents/fence_lab", "#!/no/such/interpreter\n").chmod(0o755)
    folder.inventory(with_agent())

    assert "cannot be run" in folder.fault().reason


def test_what_keeps_an_agents_output_open_is_not_waited_for(folder: Folder) -> None:
    over = folder.path / "over"
    program = folder.script("lab", f"setsid sh -c 'sleep 3; touch {over}' &")

    metadata = Installed(program.parent, patience_s=0.05).describe("lab")

    assert metadata is None
    assert not over.exists()


def test_an_agent_is_asked_again_only_when_it_changed(folder: Folder) -> None:
    calls = folder.path / "calls"
    metadata = '<resource-agent><parameters><parameter name="ip"/></parameters></resource-agent>'
    program = folder.script("lab", f"echo x >>'{calls}'; echo '{metadata}'")

    for _ in range(3):
        Installed(program.parent).describe("lab")
    once = calls.read_text()
    program.write_text(program.read_text() + "# changed\n")
    Installed(program.parent).describe("lab")

    assert (once, calls.read_text()) == ("x\n", "x\nx\n")


def test_an_agent_that_failed_once_is_asked_again_at_the_next_reload(folder: Folder) -> None:
    metadata = '<resource-agent><parameters><parameter name="ip"/></parameters></resource-agent>'
    mended = folder.path / "mended"
    folder.script("lab", f"test -e '{mended}' && echo '{metadata}'")
    folder.inventory(with_agent())
    broken = folder.load()
    mended.touch()

    assert not broken.hosts
    assert folder.fence_agent().type == "lab"


def test_a_variable_that_switches_time_outs_off_is_not_passed_on(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PCMK_service", "pacemaker-fenced")
    program = folder.script(
        "lab",
        'echo "<resource-agent><parameters><parameter name=\\"x$PCMK_service\\"/>'
        '</parameters></resource-agent>"',
    )

    metadata = Installed(program.parent).describe("lab")

    assert metadata is not None
    assert metadata.parameters == {"x"}


@pytest.mark.skipif(
    not (DEBIAN / "fence_ipmilan").exists() or not (DEBIAN / "fence_apc_snmp").exists(),
    reason="fence-agents are not installed (apt install fence-agents)",
)
def test_debian_s_own_agents_are_understood() -> None:
    ipmilan = Installed(DEBIAN).describe("ipmilan")
    pdu = Installed(DEBIAN).describe("apc_snmp")

    assert ipmilan is not None
    assert pdu is not None
    assert {"lanplus", "cipher", "power_wait"} <= ipmilan.parameters
    assert ("plug" in ipmilan.required, "plug" in pdu.required) == (False, True)
    assert (ipmilan.ipport, pdu.ipport) == (623, 161)
