from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from pmwatchd.lab.bmc import PowerDevice
from pmwatchd.lab.iron import Iron
from tests.lab.workshop import PASSWORD, RunAgent, Told


def options(bmc: PowerDevice, action: str, **more: str) -> str:
    given = {
        "action": action,
        "ip": bmc.address,
        "ipport": str(bmc.port),
        "username": "fence",
        "password": PASSWORD,
        "power_wait": "0",
        **more,
    }
    return "".join(f"{key}={value}\n" for key, value in given.items())


async def test_status_of_a_host_that_is_on_exits_0(bmc: PowerDevice, run_agent: RunAgent) -> None:
    said = await run_agent(stdin=options(bmc, "status"))

    assert (said.code, said.stdout, said.stderr) == (0, "Status: ON\n", "")


async def test_status_of_a_host_that_is_off_exits_2(
    bmc: PowerDevice, run_agent: RunAgent, told: Told
) -> None:
    off = await run_agent(stdin=options(bmc, "off"))
    await told.until("iron.switched_off", "node3")
    status = await run_agent(stdin=options(bmc, "status"))

    assert (off.code, off.stdout) == (0, "Success: Powered OFF\n")
    assert (status.code, status.stdout) == (2, "Status: OFF\n")


async def test_the_old_names_of_options_are_understood(
    bmc: PowerDevice, run_agent: RunAgent
) -> None:
    stdin = (
        f"# a comment\n\noption=status\nipaddr={bmc.address}\nipport={bmc.port}\n"
        f"login='fence'\npasswd=\"{PASSWORD}\"\n"
    )

    assert (await run_agent(stdin=stdin)).stdout == "Status: ON\n"


async def test_on_at_a_host_that_is_on_sends_nothing(
    bmc: PowerDevice, run_agent: RunAgent, iron: Iron
) -> None:
    said = await run_agent(stdin=options(bmc, "on"))

    assert said.stdout == "Success: Already ON\n"
    assert [command.action for command in iron.record.commands] == ["status"]


async def test_reboot_is_off_then_on(bmc: PowerDevice, run_agent: RunAgent, iron: Iron) -> None:
    said = await run_agent(stdin=options(bmc, "reboot"))

    assert (said.code, said.stdout) == (0, "Success: Rebooted\n")
    switched = [c.action for c in iron.record.commands if c.action != "status"]
    assert switched == ["off", "on"]


async def test_monitor_is_0_even_when_the_host_is_off(
    bmc: PowerDevice, run_agent: RunAgent, told: Told
) -> None:
    await run_agent(stdin=options(bmc, "off"))
    await told.until("iron.switched_off", "node3")

    assert (await run_agent(stdin=options(bmc, "monitor"))).code == 0


@pytest.mark.parametrize("argv", [("-o", "metadata"), ("--action", "metadata")])
async def test_metadata_is_asked_for_on_argv(run_agent: RunAgent, argv: tuple[str, ...]) -> None:
    said = await run_agent(*argv)
    root = ET.fromstring(said.stdout)  # noqa: S314 - our own text

    assert said.code == 0
    assert root.attrib["name"] == "fence_lab"
    names = [parameter.attrib["name"] for parameter in root.iter("parameter")]
    assert {"action", "ip", "ipaddr", "plug", "password", "power_wait"} <= set(names)
    assert len(names) == len(set(names))


async def test_metadata_on_stdin_is_the_same(run_agent: RunAgent) -> None:
    by_argv, by_stdin = await run_agent("-o", "metadata"), await run_agent(stdin="action=metadata")

    assert by_stdin.stdout == by_argv.stdout


async def test_a_wrong_password_exits_1_and_is_not_repeated(
    bmc: PowerDevice, run_agent: RunAgent, iron: Iron
) -> None:
    said = await run_agent(stdin=options(bmc, "off", password="wrong-canary"))

    assert (said.code, said.stdout) == (1, "")
    assert "Failed: Authentication failed" in said.stderr
    assert "wrong-canary" not in said.stderr
    assert iron.record.commands == []


async def test_a_dead_bmc_exits_1_and_says_that_nobody_answers(
    bmc: PowerDevice, run_agent: RunAgent
) -> None:
    bmc.close()
    said = await run_agent(stdin=options(bmc, "status"))

    assert (said.code, said.stdout) == (1, "")
    assert "Unable to connect to fencing device" in said.stderr


async def test_a_bmc_that_was_mended_answers_at_its_old_port(
    bmc: PowerDevice, run_agent: RunAgent
) -> None:
    stdin = options(bmc, "status")
    bmc.close()
    await bmc.open()

    assert (await run_agent(stdin=stdin)).stdout == "Status: ON\n"


@pytest.mark.parametrize(
    ("stdin", "sentence"),
    [
        ("action=explode\n", "Unrecognised action"),
        ("action=status\n", "You have to enter fence address"),
        ("action=status\nip=127.0.0.1\nipport=x\nusername=u\n", "invalid literal"),
    ],
)
async def test_a_faulty_call_exits_1_with_a_reason(
    run_agent: RunAgent, stdin: str, sentence: str
) -> None:
    said = await run_agent(stdin=stdin)

    assert said.code == 1
    assert sentence in said.stderr


async def test_an_unknown_plug_is_an_error(bmc: PowerDevice, run_agent: RunAgent) -> None:
    said = await run_agent(stdin=options(bmc, "status", plug="99"))

    assert said.code == 1
    assert "plug is not available" in said.stderr


async def test_an_unknown_option_is_named_and_ignored(
    bmc: PowerDevice, run_agent: RunAgent
) -> None:
    said = await run_agent(stdin=options(bmc, "status", colour="secret-blue"))

    assert said.code == 0
    assert "unknown option 'colour'" in said.stderr
    assert "secret-blue" not in said.stderr
