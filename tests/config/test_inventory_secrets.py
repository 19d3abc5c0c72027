"""Secrets: where they lie, what is taken off, and what is said when they cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from pmwatchd.config.secrets import NotForThisUserError, Reading, Secrets
from pmwatchd.config.values import Place, SecretRef
from tests.config.folder import Folder
from tests.config.test_inventory import with_agent

CANARY = "canary-7c1"


def test_a_file_is_relative_to_the_inventory_and_loses_one_newline_at_its_end(
    folder: Folder,
) -> None:
    folder.write("hosts.d/secrets/node1", f"{CANARY}\n")
    folder.inventory(with_agent(password="{ file = 'secrets/{name}' }"))

    assert folder.fence_agent().password == SecretStr(CANARY)


def test_only_one_newline_is_taken_off(folder: Folder) -> None:
    folder.write("hosts.d/secret", f"{CANARY}\n\n")
    folder.inventory(with_agent(password="{ file = 'secret' }"))

    fault = folder.fault()

    assert "newline" in fault.reason
    assert CANARY not in str(fault)


@pytest.mark.parametrize("name", ["pmwatchd_bmc_node1", "bmc_node1"])
def test_a_credential_is_looked_up_with_and_then_without_our_name(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder.write(f"credentials/{name}", CANARY)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder.path / "credentials"))
    folder.inventory(with_agent(password="{ credential = 'bmc_{name}' }"))

    assert folder.fence_agent().password == SecretStr(CANARY)


def test_a_secret_may_come_from_the_environment_and_so_may_an_option(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BMC_NODE1", CANARY)
    folder.inventory(with_agent(options="{ community = { env = 'BMC_NODE1' } }"))

    agent = folder.fence_agent()

    assert agent.options == {"community": SecretStr(CANARY)}
    assert CANARY not in repr(agent)


@pytest.mark.parametrize("password", ["{ file = 'gone' }", "{ credential = 'x' }", "{ env = 'X' }"])
def test_a_secret_that_cannot_be_read_costs_its_host(folder: Folder, password: str) -> None:
    folder.inventory(with_agent(password=password))

    loaded = folder.load()

    assert not loaded.hosts
    assert loaded.faults[0].key == "hosts.node1.power_management.agents.a.password"


def test_an_empty_secret_is_a_fault(folder: Folder) -> None:
    folder.write("hosts.d/secret", "\n")
    folder.inventory(with_agent(password="{ file = 'secret' }"))

    assert "empty" in folder.fault().reason


def test_an_empty_plain_password_means_that_none_is_set(folder: Folder) -> None:
    folder.inventory(with_agent(password="''"))

    assert folder.fence_agent().password is None


def test_a_credential_that_only_the_service_has_is_a_note_of_check_and_no_fault(
    folder: Folder,
) -> None:
    folder.inventory(with_agent(password="{ credential = 'bmc' }"))

    report = folder.check()

    assert report.faults == ()
    assert any("$CREDENTIALS_DIRECTORY" in note for note in report.notes)


def test_a_credential_that_systemd_did_not_load_is_a_fault_of_check_too(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder.path))
    folder.inventory(with_agent(password="{ credential = 'bmc' }"))

    assert len(folder.check().faults) == 1


def test_no_secret_is_read_when_check_is_told_so(folder: Folder) -> None:
    folder.inventory(with_agent(password="{ file = 'gone' }"))

    assert folder.check(secrets=False).faults == ()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_only_this_user_cannot_read_is_a_note(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(CANARY)
    secret.chmod(0)

    with pytest.raises(NotForThisUserError):
        Secrets(Reading.TRIED).get(SecretRef(Place.FILE), "secret", tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 70_000])
def test_a_file_that_is_no_secret_is_a_fault(folder: Folder, content: bytes) -> None:
    (folder.path / "hosts.d" / "secret").write_bytes(content)
    folder.inventory(with_agent(password="{ file = 'secret' }"))

    assert "secret" in folder.fault().reason


@pytest.mark.parametrize("name", ["snmp_priv_passwd", "Community", "apikey", "hexadecimal-kg"])
def test_an_option_whose_name_tells_a_secret_is_one_even_when_it_is_written_plainly(
    folder: Folder, name: str
) -> None:
    folder.inventory(with_agent(options=f"{{ {name} = '{CANARY}' }}"))

    [hidden] = folder.fence_agent().options.values()
    [warning] = folder.load().warnings

    assert hidden == SecretStr(CANARY)
    assert f"plain text, the first at hosts.node1.power_management.agents.a.options.{name}" in (
        warning
    )
    assert CANARY not in warning


def test_plain_secrets_of_one_file_are_warned_of_once(folder: Folder) -> None:
    folder.inventory(with_agent(password="'x'", options="'community=y,snmp_priv_passwd=z'"))

    [warning] = folder.load().warnings

    assert "3 secrets" in warning


def test_an_option_that_is_only_switched_on_is_no_secret(folder: Folder) -> None:
    folder.inventory(with_agent(options="{ use_token = true }"))

    assert folder.fence_agent().options == {"use_token": "1"}
    assert folder.load().warnings == ()


def test_a_secret_option_is_judged_as_strictly_as_a_password(folder: Folder) -> None:
    folder.inventory(with_agent(options=f"{{ community = ' {CANARY}' }}"))

    fault = folder.fault()

    assert "blank" in fault.reason
    assert CANARY not in str(fault)


def test_a_fault_says_when_it_is_a_secret_that_cannot_be_read(folder: Folder) -> None:
    options = "{ community = { env = 'GONE' }, apikey = \"'quoted'\" }"
    folder.inventory(with_agent(password="{ file = 'gone' }", plug="'{nothing}'", options=options))

    told = {fault.key.rpartition(".")[2]: fault.secret for fault in folder.load().faults}

    assert told == {"password": True, "plug": False, "community": True, "apikey": False}


def test_a_secret_that_many_hosts_miss_is_one_fault_that_says_so(folder: Folder) -> None:
    folder.inventory(
        "[devices.pdu]\ntype = 'lab'\naddress = '10.2.0.1'\npassword = { file = 'gone' }\n"
        + "".join(
            f"[[hosts]]\nname = 'node{number}'\naddress = '10.0.0.{number}'\n"
            "power_management = { agents = "
            f"[{{ name = 'a', device = 'pdu', plug = '{number}' }}] }}\n"
            for number in (1, 2)
        )
    )

    fault = folder.fault()

    assert (fault.host, fault.secret) == (None, True)
