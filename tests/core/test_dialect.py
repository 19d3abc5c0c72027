"""How agents are spoken to: behaviour.md section 6."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from pmwatchd.core.dialect import (
    canonical_option,
    canonical_type,
    forbidden_option,
    forbidden_type,
    forbidden_value,
    spelled,
    stdin_of,
    unknown_options,
    unsafe_value,
    unspeakable,
)
from pmwatchd.core.metadata import Metadata
from pmwatchd.core.model import FenceAction, FenceAgent

CANARY = "canary-7f3a"


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("ipmilan", "ipmilan"),
        ("fence_ipmilan", "ipmilan"),
        (" Fence_IPMILAN ", "ipmilan"),
        ("drac7", "ipmilan"),
        ("fence_drac7", "ipmilan"),
        ("ilo2", "ilo"),
        ("ilo4", "ilo4"),
        ("apc-snmp", "apc_snmp"),
        ("cisco_ucs", "cisco_ucs"),
    ],
)
def test_a_type_has_one_spelling(word: str, name: str) -> None:
    assert canonical_type(word) == name


@pytest.mark.parametrize("word", ["../sh", "a/b", "", "ipmi lan", "a\nb", "_x"])
def test_a_type_that_could_leave_the_agents_directory_is_forbidden(word: str) -> None:
    assert forbidden_type(canonical_type(word))


def test_a_plain_type_is_not_forbidden() -> None:
    assert forbidden_type("apc_snmp") is None


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("ipaddr", "ip"),
        ("login", "username"),
        ("passwd", "password"),
        ("port", "plug"),
        ("slot", "plug"),
        ("option", "action"),
        ("OPTION", "action"),
        ("passwd-script", "password_script"),
        ("power-wait", "power_wait"),
        ("tls1.0", "tls1.0"),
        ("resourceGroup", "resourceGroup"),
    ],
)
def test_an_option_has_one_spelling(word: str, name: str) -> None:
    assert canonical_option(word) == name


@pytest.mark.parametrize(
    ("agent_type", "name"),
    [("apc", "ssh"), (None, "ssh"), ("drac5", "ssh"), ("cisco_ucs", "ssl"), ("ilo", "ssl")],
)
def test_secure_means_ssh_or_ssl_depending_on_the_type(agent_type: str | None, name: str) -> None:
    assert canonical_option("secure", agent_type) == name


@pytest.mark.parametrize(
    "name",
    [
        *("action", "option", "Option", "ACTION", " action "),
        *("ip", "ipaddr", "address", "ipport", "username", "login", "password", "passwd"),
        *("plug", "port", "slot", "port_as_ip", "port-as-ip", "nodename"),
        *("missing_as_off", "delay", "help", "version"),
        *("password_script", "passwd_script", "password-script", "SNMP-PRIV-PASSWD-SCRIPT"),
        *("ipmitool_path", "sudo-path", "debug_file", "debug", "status_file", "identity_file"),
        *("exec", "ssh_options", "ssh-options", "runonfail", "logfile"),
        *("", "#comment", "a=b", "a\nb", "a\n", "-x"),
    ],
)
def test_an_option_that_is_ours_or_runs_or_writes_is_forbidden_in_any_spelling(name: str) -> None:
    assert forbidden_option(name)


@pytest.mark.parametrize(
    "name",
    [
        "lanplus",
        "cipher",
        "power_wait",
        "method",
        "ssl",
        "secure",
        "tls1.0",
        "tenantId",
        "api_path",
    ],
)
def test_other_options_are_permitted(name: str) -> None:
    assert forbidden_option(name) is None


@pytest.mark.parametrize("value", ["cycle", "CYCLE", " cycle ", '"cycle"'])
def test_cycling_is_forbidden(value: str) -> None:
    assert forbidden_value("method", value)


def test_switching_off_and_on_is_the_permitted_method() -> None:
    assert forbidden_value("method", "onoff") is None
    assert forbidden_value("systems_uri", "cycle") is None


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "\n", "\udc80"])
@pytest.mark.parametrize("secret", [True, False])
def test_what_ends_a_line_is_unsafe_everywhere(value: str, secret: bool) -> None:  # noqa: FBT001
    assert unsafe_value(value, secret=secret)


@pytest.mark.parametrize("value", [" a", "a\t", "\xa0a", '"a"', "'a'", '"a', "a'"])
def test_outer_blanks_and_quotes_are_unsafe_in_a_secret_only(value: str) -> None:
    assert unsafe_value(value, secret=True)
    assert unsafe_value(value, secret=False) is None


@pytest.mark.parametrize("value", ["a b", 'a"b', "a=b", "#a", "", "pässword", "=a"])
def test_anything_else_is_safe(value: str) -> None:
    assert unsafe_value(value, secret=True) is None


def test_an_agent_is_told_the_action_first_and_its_options_in_order() -> None:
    agent = FenceAgent(
        name="bmc",
        type="ipmilan",
        address="10.0.0.1",
        ipport=623,
        username="fence",
        password=SecretStr(CANARY),
        plug="8",
        options={"lanplus": "1", "hexadecimal_kg": SecretStr("c0ffee"), "cipher": "17"},
        options_checked=True,
    )

    assert stdin_of(agent, FenceAction.OFF) == (
        b"action=off\nip=10.0.0.1\nipport=623\nusername=fence\npassword=canary-7f3a\nplug=8\n"
        b"cipher=17\nhexadecimal_kg=c0ffee\nlanplus=1\n"
    )


def test_what_an_agent_has_not_is_not_told() -> None:
    agent = FenceAgent(name="dummy", type="dummy", address="")

    assert stdin_of(agent, FenceAction.STATUS) == b"action=status\n"


@pytest.mark.parametrize(
    "options",
    [
        {"action": CANARY},
        {"cipher": f"{CANARY}\naction=on"},
        {"kg": SecretStr(f" {CANARY}")},
        {"method": "cycle"},
    ],
)
def test_a_forbidden_or_unsafe_option_is_never_told_and_its_value_never_shown(
    options: dict[str, str | SecretStr],
) -> None:
    agent = FenceAgent(
        name="bmc", type="ipmilan", address="10.0.0.1", options=options, options_checked=True
    )

    with pytest.raises(ValueError, match="option '") as refused:
        stdin_of(agent, FenceAction.OFF)

    assert CANARY not in str(refused.value)


def test_an_unsafe_password_is_never_told_and_never_shown() -> None:
    password = SecretStr(f"{CANARY}\naction=on")
    agent = FenceAgent(name="bmc", type="ipmilan", address="10.0.0.1", password=password)

    with pytest.raises(ValueError, match="password") as refused:
        stdin_of(agent, FenceAction.OFF)

    assert CANARY not in str(refused.value)


def knows(*parameters: str) -> Metadata:
    return Metadata(frozenset({"action", *parameters}))


NEW = knows("ip", "ipport", "username", "password", "plug", "lanplus", "power_wait")
OLD = knows("ipaddr", "login", "passwd", "port", "secure", "power_wait")
BMC = FenceAgent(
    name="bmc",
    type="apc",
    address="10.0.0.1",
    ipport=623,
    username="fence",
    password=SecretStr(CANARY),
    plug="8",
    options={"ssh": "1"},
)


def test_a_new_agent_is_told_new_names_and_an_old_one_old_names() -> None:
    both = Metadata(NEW.parameters | OLD.parameters)

    new = stdin_of(BMC, FenceAction.OFF, NEW)
    old = stdin_of(BMC, FenceAction.OFF, OLD)

    assert new == (
        b"action=off\nip=10.0.0.1\nipport=623\nusername=fence\npassword=canary-7f3a\nplug=8\n"
        b"power_wait=0\n"
    )
    assert old == (
        b"action=off\nipaddr=10.0.0.1\nlogin=fence\npasswd=canary-7f3a\nport=8\nsecure=1\n"
        b"power_wait=0\n"
    )
    assert stdin_of(BMC, FenceAction.OFF, both) == new.replace(b"power", b"secure=1\npower")


@pytest.mark.parametrize(
    ("name", "agent_type", "parameters", "word"),
    [
        ("ip", "apc", ("ip", "ipaddr"), "ip"),
        ("ip", "apc", ("address", "ipaddr"), "ipaddr"),
        ("plug", "apc", ("slot", "port"), "port"),
        ("plug", "apc", ("slot",), "slot"),
        ("plug", "apc", ("ip",), None),
        ("ssh", "apc", ("secure",), "secure"),
        ("ssl", "apc", ("secure",), None),
        ("ssl", "cisco_ucs", ("secure",), "secure"),
        ("ssl_insecure", "apc", ("ssl-insecure",), "ssl-insecure"),
        ("command_prompt", "apc", ("cmd_prompt",), "cmd_prompt"),
        ("resourceGroup", "azure_arm", ("resourcegroup",), None),
    ],
)
def test_an_option_is_called_by_the_name_that_the_agent_knows(
    name: str, agent_type: str, parameters: tuple[str, ...], word: str | None
) -> None:
    assert spelled(name, agent_type, knows(*parameters)) == word


def test_what_an_agent_does_not_know_is_not_told_and_named() -> None:
    alone = knows()

    assert stdin_of(BMC, FenceAction.OFF, alone) == b"action=off\n"
    assert unknown_options(BMC, alone) == ("ip", "ipport", "username", "password", "plug", "ssh")
    assert unknown_options(BMC, NEW) == ("ssh",)


def test_an_agents_own_waiting_is_switched_off_where_it_has_one_and_never_told_otherwise() -> None:
    waiting = FenceAgent(
        name="bmc",
        type="apc",
        address="",
        options={"power_wait": "7", "power-wait": "7"},
    )

    assert stdin_of(waiting, FenceAction.ON, NEW) == b"action=on\npower_wait=0\n"
    assert stdin_of(waiting, FenceAction.ON, knows("ip")) == b"action=on\n"
    assert stdin_of(waiting, FenceAction.ON, None) == b"action=on\n"
    assert unknown_options(waiting, knows("ip")) == ()


def test_an_old_agent_is_told_its_action_by_the_old_name() -> None:
    ancient = Metadata(frozenset({"option", "ipaddr"}))

    assert stdin_of(BMC, FenceAction.STATUS, ancient).startswith(b"option=status\n")


def test_an_agent_that_cannot_be_told_an_action_is_never_run() -> None:
    deaf = Metadata(frozenset({"ip"}))

    assert unspeakable(BMC, deaf)
    with pytest.raises(ValueError, match="action"):
        stdin_of(BMC, FenceAction.STATUS, deaf)


@pytest.mark.parametrize(
    ("options", "checked", "speakable"),
    [
        ({}, False, True),
        ({"power_wait": "1"}, False, True),
        ({"systems_uri": "/1"}, False, False),
        ({"systems_uri": "/1"}, True, True),
    ],
)
def test_without_metadata_only_what_was_checked_elsewhere_is_told(
    options: dict[str, str], *, checked: bool, speakable: bool
) -> None:
    agent = FenceAgent(
        name="bmc", type="redfish", address="", options=options, options_checked=checked
    )

    assert (unspeakable(agent, None) is None) == speakable
    assert unspeakable(agent, NEW) is None
    if not speakable:
        with pytest.raises(ValueError, match="which options"):
            stdin_of(agent, FenceAction.STATUS, None)


@given(parameters=st.frozensets(st.sampled_from(sorted(NEW.parameters | OLD.parameters))))
def test_whatever_an_agent_knows_it_is_told_its_action_first_and_nothing_else_that_it_does_not(
    parameters: frozenset[str],
) -> None:
    metadata = Metadata(parameters | {"action"})

    told = stdin_of(BMC, FenceAction.STATUS, metadata).decode().splitlines()

    assert told[0] == "action=status"
    assert {line.partition("=")[0] for line in told} <= metadata.parameters


@given(
    password=st.text(),
    username=st.text(),
    options=st.dictionaries(st.text(), st.text(), max_size=3),
)
def test_whatever_is_configured_an_agent_is_told_one_action_only(
    password: str, username: str, options: dict[str, str]
) -> None:
    agent = FenceAgent(
        name="bmc",
        type="ipmilan",
        address="10.0.0.1",
        username=username,
        password=SecretStr(password),
        options=options,
        options_checked=True,
    )
    try:
        told = stdin_of(agent, FenceAction.STATUS).decode()
    except ValueError:
        return

    keys = [line.partition("=")[0] for line in told.replace("\r", "\n").split("\n") if line]
    assert keys == ["action", "ip", "username", "password", *sorted(options)]
    assert told.startswith("action=status\n")
