"""``pmwatchd check`` says every fault at once."""

from __future__ import annotations

import subprocess
import sys

from tests.kit.site import Site, write_toml


def check(site: Site) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "pmwatchd", "check"),
            *("--config", str(site.directory / "pmwatchd.toml")),
        ],
        check=False,
        capture_output=True,
        text=True,
    )


def agent(**more: object) -> dict[str, object]:
    return {"name": "bmc", "type": "ipmilan", "address": "192.0.2.1", "username": "fence"} | more


def host(name: str, address: str, **power_management: object) -> dict[str, object]:
    return {"name": name, "address": address, "power_management": power_management}


def test_eight_different_faults_are_all_named_in_one_run_and_the_exit_code_is_2(
    site: Site,
) -> None:
    write_toml(
        site.directory / "pmwatchd.toml",
        {
            "inventory": "hosts.d",
            "state_dir": str(site.state_dir),
            "heartbeat": {"intervall": "5s"},
        },
    )
    nowhere = str(site.directory / "no-such-password")
    write_toml(
        site.directory / "hosts.d" / "site.toml",
        {
            "hosts": [
                host("twice", "10.0.0.1"),
                host("twice", "10.0.0.2"),
                host("here", "10.0.0.3"),
                host("there", "10.0.0.3"),
                host("unreadable", "10.0.0.4", agents=[agent(password={"file": nowhere})]),
                host("disorder", "10.0.0.5", agents=[agent(ipport=1, order="first")]),
                host("lost", "10.0.0.6", proxies=["clutser"], agents=[agent(ipport=2)]),
                host("cycler", "10.0.0.7", agents=[agent(ipport=3, options={"action": "reboot"})]),
                host("dangling", "10.0.0.8", agents=[{"name": "pdu", "device": "pdu-gone"}]),
            ]
        },
    )

    said = check(site)

    text = said.stdout + said.stderr
    assert said.returncode == 2, text
    for fault in (
        "heartbeat.intervall: ",
        "hosts.twice: ",
        "hosts.there.address: ",
        "hosts.unreadable.power_management.agents.bmc.password: ",
        "hosts.disorder.power_management.agents.bmc.order: ",
        "hosts.lost.power_management.proxies: ",
        "hosts.cycler.power_management.agents.bmc.options.action: ",
        "hosts.dangling.power_management.agents.pdu.device: ",
    ):
        assert fault in text, f"{fault} is not named in:\n{text}"
    assert "Traceback" not in text


def test_a_sound_configuration_has_no_fault_and_the_exit_code_is_0(site: Site) -> None:
    site.watch(site.machine("node1"), [])
    site.configure()

    said = check(site)

    assert said.returncode == 0, said.stdout + said.stderr
