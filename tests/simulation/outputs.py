"""What agents print besides the truth: lies, echoes, floods."""

from __future__ import annotations

from urllib.parse import quote

from pmwatchd.core.model import FenceAction
from pmwatchd.ports import OUTPUT_LIMIT
from tests.simulation.hardware import Execution

HUSH = "hush-"
"""Every password begins with it and nothing else holds it: it may never be shown."""

_LINE = b"INFO:root:Sent: 0123456789 retrying the session with the controller over again 98765\n"
FLOOD = _LINE * (OUTPUT_LIMIT // len(_LINE) + 1)
_BROKEN = b"\xff\xfe caf\xe9 \xc3\x28 voil\xe0\n"
_LEFT = 20  # of the limit, for the beginning of a secret that is cut in two there


def spoil(execution: Execution) -> None:
    """Let the agent misspeak, whatever it did."""
    moods = execution.device.moods
    if execution.exit_code in (124, 137):
        return
    if "fails" in moods:
        execution.exit_code, execution.stdout = 1, b""
        execution.stderr = b"ERROR: Failed: internal error"
    elif "silent2" in moods:
        execution.exit_code, execution.stdout, execution.stderr = 2, b"", b"no such file"
    elif "contradiction" in moods and execution.action is FenceAction.STATUS:
        execution.exit_code = 2
        execution.stdout = b"Status: ON\n"
    elif "garbage" in moods:
        execution.stdout = b"\x00Status: OFF and perhaps ON\n"
    if "echoes" in moods:
        _echo(execution)
    if "floods" in moods:
        _flood(execution)
    if "broken" in moods:
        execution.stdout = _BROKEN + execution.stdout
        execution.stderr += _BROKEN


def _echo(execution: Execution) -> None:
    """Repeat what it was told, in one of the ways in which agents do that."""
    password = execution.told.get("password") or execution.told.get("passwd") or ""
    match execution.number % 5:
        case 0:
            lines = [f"{name}={value}" for name, value in reversed(execution.told.items())]
            execution.stdout = "\n".join(lines).encode() + b"\n" + execution.stdout
        case 1:
            execution.stderr += f"\nERROR: Parse error: Ignoring {execution.told!r}\n".encode()
        case 2:
            quoted = "'" + password.replace("'", "'\"'\"'") + "'"
            command = f"\nERROR: Failed to run ipmitool -I lanplus -P {quoted} power\n"
            execution.stderr += command.encode()
        case 3:
            url = f"https://device/login?name=admin&word={quote(password)}"
            execution.stderr += f"\nERROR: Failed: {url} with {password}\n".encode()
        case _:
            execution.stdout += f"the password was {password}\n".encode()


def _flood(execution: Execution) -> None:
    """Print so much that the end is lost, and with it half of a secret or of the status."""
    if execution.action is FenceAction.STATUS and execution.number % 2:
        execution.stdout = FLOOD + execution.stdout
        return
    password = execution.told.get("password") or execution.told.get("passwd") or ""
    execution.stderr = FLOOD[: OUTPUT_LIMIT - _LEFT] + f"\npassword={password}\n".encode()
