"""
``fence_lab``: the fence agent of the simulated site, by the ClusterLabs contract.

A program of its own that knows nothing of pmwatchd: ``key=value`` lines on
stdin (or a few options on argv), metadata as XML, exit codes, ``Status: ON``.
Standard library only, started with ``python -I -S``, so an execution costs
little.  As with the firmware of many a BMC, success means *accepted*, not
*switched*: who wants to know must ask for the status.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterable

# name, old spellings, type, default, required, description
PARAMETERS: tuple[tuple[str, tuple[str, ...], str, str | None, str, str], ...] = (
    ("action", ("option",), "string", "reboot", "1", "Fencing action"),
    ("ip", ("ipaddr",), "string", None, "1", "Address of the switch"),
    ("ipport", (), "integer", None, "1", "TCP port of the switch"),
    ("username", ("login",), "string", None, "1", "Login name"),
    ("password", ("passwd",), "string", None, "0", "Login password"),
    ("plug", ("port",), "string", None, "0", "Outlet of a PDU"),
    ("power_wait", (), "second", "1", "0", "Wait X seconds after issuing ON/OFF"),
    ("power_timeout", (), "second", "20", "0", "Wait X seconds for a change in a reboot"),
    ("login_timeout", (), "second", "5", "0", "Wait X seconds for the login"),
    ("shell_timeout", (), "second", "3", "0", "Wait X seconds for an answer"),
    ("delay", (), "second", "0", "0", "Wait X seconds before fencing is started"),
)
ACTIONS = ("on", "off", "reboot", "status", "monitor", "metadata")
ARGUMENTS = {"-o": "action", "-a": "ip", "-u": "ipport", "-l": "username", "-n": "plug"}
POLL_S = 0.2


class AgentError(Exception):
    """The action failed; the sentence goes to stderr."""


def metadata() -> str:
    """The resource agent's description as XML."""
    lines = [
        '<?xml version="1.0" ?>',
        '<resource-agent name="fence_lab" shortdesc="Fence agent for the simulated site">',
        "<longdesc>fence_lab switches the imitated power of pmwatchd's lab.</longdesc>",
        "<parameters>",
    ]
    for name, others, kind, default, required, description in PARAMETERS:
        value = f' default="{default}"' if default is not None else ""
        spellings = {old: ' deprecated="1"' for old in others if old != "option"}
        spellings[name] = "".join(f' obsoletes="{old}"' for old in spellings)
        for spelling, note in spellings.items():
            lines += [
                f'\t<parameter name="{spelling}" unique="0" required="{required}"{note}>',
                f'\t\t<getopt mixed="--{name.replace("_", "-")}=[{name}]" />',
                f'\t\t<content type="{kind}"{value} />',
                f'\t\t<shortdesc lang="en">{description}</shortdesc>',
                "\t</parameter>",
            ]
    lines += ["</parameters>", "<actions>"]
    lines += [f'\t<action name="{action}" />' for action in ACTIONS]
    lines += ["</actions>", "</resource-agent>"]
    return "\n".join(lines)


def read_options(lines: Iterable[str]) -> dict[str, str]:
    """Options by their new names; what is unknown is reported and left out."""
    names = {spelling: row[0] for row in PARAMETERS for spelling in (row[0], *row[1])}
    options = {row[0]: row[3] for row in PARAMETERS if row[3] is not None}
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        key, _, value = text.partition("=")
        if key in names:
            options[names[key]] = _unquoted(value)
        else:
            complain("WARNING", f"Parse error: Ignoring unknown option '{key}'")
    return options


def _unquoted(value: str) -> str:
    for quote in "'\"":
        if len(value) > 1 and value[0] == value[-1] == quote:
            return value[1:-1]
    return value


def complain(level: str, sentence: str) -> None:
    """One line on stderr, as the agents' library writes it."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    sys.stderr.write(f"{stamp},{time.time_ns() // 1_000_000 % 1000:03d} {level}: {sentence}\n")


class Device:
    """A logged-in session with a BMC or PDU."""

    def __init__(self, options: dict[str, str]) -> None:
        self._plug = options.get("plug", "")
        # The lab's proxies share one loopback interface; the address to call
        # from is what tells the switch which of them is calling.
        source = os.environ.get("FENCE_LAB_SOURCE")
        try:
            self._socket = socket.create_connection(
                (options["ip"], int(options["ipport"])),
                timeout=float(options["login_timeout"]),
                source_address=(source, 0) if source else None,
            )
            self._file = self._socket.makefile("rw", encoding="utf-8", newline="\n")
            answer = self._ask("login", options["username"], options.get("password", ""))
        except OSError as error:
            raise AgentError(f"Unable to connect to fencing device: {error}") from error
        if answer != "ok":
            raise AgentError("Authentication failed: the device refuses this login or password")
        self._socket.settimeout(float(options["shell_timeout"]))

    def command(self, action: str) -> str:
        """What the device answers to ``status``, ``off`` or ``on``."""
        try:
            answer = self._ask(action, self._plug)
        except OSError as error:
            raise AgentError(f"Connection lost: {error}") from error
        if not answer or answer.startswith("error"):
            raise AgentError(
                "Unable to obtain correct plug status or plug is not available"
                if answer
                else "Connection lost"
            )
        return answer

    def _ask(self, *words: str) -> str:
        self._file.write(" ".join(words).strip() + "\n")
        self._file.flush()
        return self._file.readline().strip()


def switch(device: Device, options: dict[str, str], action: str) -> str:
    """Send ``off`` or ``on`` unless it reads so already; what is printed on success."""
    if device.command("status") == action:
        return f"Success: Already {action.upper()}"
    device.command(action)
    time.sleep(float(options["power_wait"]))
    return f"Success: Powered {action.upper()}"


def reboot(device: Device, options: dict[str, str]) -> str:
    """Off, wait for it, on."""
    switch(device, options, "off")
    deadline = time.monotonic() + float(options["power_timeout"])
    while device.command("status") != "off":
        if time.monotonic() > deadline:
            raise AgentError("Timed out waiting to power OFF")
        time.sleep(POLL_S)
    switch(device, options, "on")
    return "Success: Rebooted"


def perform(options: dict[str, str]) -> int:
    """Carry out the wanted action; its exit status."""
    action = options["action"]
    if action == "metadata":
        sys.stdout.write(metadata() + "\n")
        return 0
    if action not in ACTIONS:
        raise AgentError(f"Unrecognised action '{action}'")
    for name, sentence in (
        ("ip", "You have to enter fence address"),
        ("ipport", "You have to enter the port of the fencing device"),
        ("username", "You have to set login name"),
    ):
        if not options.get(name):
            raise AgentError(sentence)
    if action in ("on", "off", "reboot"):
        time.sleep(float(options["delay"]))
    device = Device(options)
    if action in ("status", "monitor"):
        power = device.command("status")
        if action == "monitor":
            return 0
        sys.stdout.write(f"Status: {power.upper()}\n")
        return 0 if power == "on" else 2
    said = reboot(device, options) if action == "reboot" else switch(device, options, action)
    sys.stdout.write(f"{said}\n")
    return 0


def main(argv: list[str]) -> int:
    """Options from argv if there are any, from stdin otherwise."""
    lines = [
        f"{ARGUMENTS.get(flag, flag.lstrip('-'))}={value}"
        for flag, value in zip(argv[::2], argv[1::2], strict=False)
    ]
    try:
        return perform(read_options(lines if argv else sys.stdin))
    except (AgentError, ValueError) as error:
        complain("ERROR", f"Failed: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
