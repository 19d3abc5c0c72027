from __future__ import annotations

import asyncio
import socket
import stat
import sys
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from pmwatchd.lab.chronicle import Chronicle, Source, heard
from pmwatchd.lab.control import DONE, REFUSED, Control, act, carry_out
from pmwatchd.lab.scenarios.stage import BMC_THEN_PDU
from pmwatchd.lab.site import Site


@pytest.fixture
async def chronicle() -> Chronicle:
    return Chronicle()


@pytest.fixture
async def site(tmp_path: Path, chronicle: Chronicle) -> AsyncIterator[Site]:
    async with Site(tmp_path, 5, BMC_THEN_PDU, chronicle, seed=1) as site:
        yield site


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def hosts(site: Site) -> dict[str, dict[str, Any]]:
    text = (site.folder / "hosts.d" / "lab.toml").read_text()
    return {host["name"]: host for host in tomllib.loads(text)["hosts"]}


def alive(host: dict[str, Any]) -> bool:
    try:
        socket.create_connection((host["address"], host["probes"][0]["port"]), timeout=0.1).close()
    except TimeoutError:
        return False
    return True


async def run_here(*argv: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, said.decode()


async def test_the_daemon_finds_no_fault_in_the_sites_files(site: Site) -> None:
    code, said = await run_here(
        *(sys.executable, "-m", "pmwatchd", "check", "--config", str(site.config))
    )

    assert code == 0, said


async def test_every_host_has_an_address_of_its_own(site: Site) -> None:
    assert len({host["address"] for host in hosts(site).values()}) == 5


async def test_the_target_shares_its_cluster_with_the_proxies(site: Site) -> None:
    inventory = hosts(site)

    assert {inventory[name]["cluster"] for name in ("node1", "node2", "node3")} == {"blue"}
    assert [n for n, host in inventory.items() if host["as_proxy"]["enabled"]] == ["node1", "node2"]


async def test_secrets_are_in_files_that_only_their_owner_reads(site: Site) -> None:
    files = [*(site.folder / "secrets").iterdir(), site.folder / "id_ed25519"]
    inventory = (site.folder / "hosts.d" / "lab.toml").read_text()

    assert len(files) == 7
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert not any(file.read_text() in inventory for file in files)


async def test_the_installed_agent_reads_a_switch_through_a_proxy(site: Site) -> None:
    agent = hosts(site)["node3"]["power_management"]["agents"][0]
    proxy = site.proxies["node2"]
    password = (site.folder / "secrets" / "node3-bmc").read_text()
    options = (
        f"action=status\nip={agent['address']}\nipport={agent['ipport']}\n"
        f"username={agent['username']}\npassword={password}\n"
    )
    async with asyncssh.connect(
        proxy.address,
        proxy.port,
        username="pmwatchd",
        client_keys=[str(site.folder / "id_ed25519")],
        known_hosts=str(site.folder / "known_hosts"),
        config=None,
        agent_path=None,
    ) as connection:
        done = await connection.run(f"timeout -k 1 5 {site.folder}/agents/fence_lab", input=options)

    assert (done.exit_status, done.stdout) == (0, "Status: ON\n")
    assert [(c.switch, c.by) for c in site.iron.record.commands] == [("node3-bmc", "fence@node2")]


async def test_a_killed_proxy_host_loses_its_ssh_server_and_gets_it_back(
    site: Site, chronicle: Chronicle
) -> None:
    proxy, host = site.proxies["node1"], hosts(site)["node1"]
    site.machine("node1").hang()

    assert not alive(host)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((proxy.address, proxy.port), timeout=1)

    site.machine("node1").start()
    async with asyncio.timeout(10):
        await chronicle.until(heard(Source.IRON, "iron.running", "node1"))
        while True:
            try:
                socket.create_connection((proxy.address, proxy.port), timeout=1).close()
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
    assert alive(host)


@pytest.mark.parametrize(
    ("verb", "event"),
    [
        ("kill", "iron.hung"),
        ("bmc-dead", "lab.bmc_died"),
        ("bmc-back", "lab.bmc_mended"),
        ("ssh-dead", "lab.ssh_died"),
        ("ssh-back", "lab.ssh_mended"),
    ],
)
async def test_every_verb_does_its_thing(
    site: Site, chronicle: Chronicle, verb: str, event: str
) -> None:
    code, _ = await carry_out(site, verb, "node1")

    assert code == DONE
    assert (chronicle.happenings[-1].event, chronicle.happenings[-1].host) == (event, "node1")


@pytest.mark.parametrize(
    ("verb", "host"), [("kill", "node9"), ("ssh-dead", "node3"), ("explode", "node3")]
)
async def test_what_cannot_be_done_is_refused(site: Site, verb: str, host: str) -> None:
    code, _ = await carry_out(site, verb, host)

    assert code == REFUSED


async def test_a_running_lab_is_reached_from_another_terminal(
    site: Site, chronicle: Chronicle, runtime: Path
) -> None:
    async with Control(site):
        code = await asyncio.to_thread(act, "kill", "node4")

    assert code == 0
    assert heard(Source.IRON, "iron.hung", "node4")(chronicle.happenings[-1])
    assert not list((runtime / "pmwatchd-lab").iterdir())


@pytest.mark.usefixtures("runtime")
def test_without_a_running_lab_a_verb_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert act("kill", "node3") == 3
    assert "pmwatchd lab" in capsys.readouterr().err


def test_a_folder_that_others_can_enter_is_not_trusted(
    runtime: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = runtime / "pmwatchd-lab"
    folder.mkdir()
    folder.chmod(0o755)

    assert act("kill", "node3") == 3
    assert "only you" in capsys.readouterr().err
