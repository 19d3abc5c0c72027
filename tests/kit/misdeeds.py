"""
A family of bad fence agents: scripts that fail in every way that was seen or feared.

Each is a shell script ``fence_<name>``.  Asked for its metadata it describes
itself, mostly well; asked for anything else it has its input in ``$told``, the
action first, and misbehaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.kit.parts import program

KNOWN = ("action", "ip", "ipport", "username", "password", "plug", "power_wait")

# What sleeps is ended by the test's own time limits, and by itself soon after.
NAP_S = 8


def metadata(*parameters: str) -> str:
    """Shell words that print the metadata of an agent with these options."""
    inner = "".join(f'<parameter name="{name}" />' for name in parameters)
    text = f"<resource-agent><parameters>{inner}</parameters></resource-agent>"
    return f"echo '{text}'"


def only_on_a_proxy(shell: str, *, elsewhere: str) -> str:
    """Shell words that do one thing where sshd started them, and another everywhere else."""
    return f'if [ -n "${{SSH_CONNECTION:-}}" ]; then {shell}; else {elsewhere}; fi'


SOUND = metadata(*KNOWN)

ON = "echo 'Status: ON'; exit 0"
OFF = "echo 'Status: OFF'; exit 2"

WORDS: Mapping[str, str] = {
    "sound": ON,
    "sound_off": OFF,
    "hangs": f"exec sleep {NAP_S}",
    "ignores_term": f"trap '' TERM; n=0; while [ $n -lt {NAP_S}0 ]; do sleep 0.1; n=$((n+1)); done",
    "answers_late": f"sleep 0.7; {OFF}",
    "answers_too_late": f"sleep {NAP_S}; {OFF}",
    "answers_then_hangs": f"echo 'Status: OFF'; exec sleep {NAP_S}",
    "exits_2": "exit 2",
    "exits_0": "exit 0",
    "on_with_2": "echo 'Status: ON'; exit 2",
    "off_with_0": "echo 'Status: OFF'; exit 0",
    "on_and_off": "echo 'Status: ON'; echo 'Status: OFF'; exit 2",
    "echoes": 'echo "$told"; echo "ERROR: Failed:" $told >&2; exit 1',
    "echoes_and_answers": f'echo $told; echo "$told" >&2; {ON}',
    "floods": f"head -c 10000000 /dev/zero | tr '\\0' x; echo; {OFF}",
    "answers_then_floods": "echo 'Status: OFF'; head -c 10000000 /dev/zero | tr '\\0' x; exit 2",
    "floods_stderr": f"head -c 10000000 /dev/zero | tr '\\0' x >&2; {OFF}",
    "no_utf8": f"printf '\\377\\376'; {OFF}",
    "no_utf8_on_stderr": f"printf '\\377\\376\\n' >&2; {OFF}",
    "leaves_a_child": f"sleep {NAP_S} & {ON}",
    "refuses_login": "echo 'ERROR: Failed: Unable to authenticate' >&2; exit 1",
    "unreachable": "echo 'ERROR: Failed: connection timed out' >&2; exit 1",
    "unsupported": "echo 'ERROR: Failed: Unrecognised action' >&2; exit 1",
    "exits_1": "exit 1",
    "killed": "kill -KILL $$",
    "crashes": "kill -SEGV $$",
    "loses_interpreter": "exec no-such-python",
    "lost_its_file": "exec python3 /nonexistent/agent.py",
    "warns": f"echo \"agent:7: SyntaxWarning: invalid escape sequence '\\\\d'\" >&2; {OFF}",
    # As the library of ClusterLabs does: what it does not know it logs, value included.
    "logs_unknown": f"""
        echo "$told" | grep -q '^kg=' && echo "$told" >&2 && exit 1
        {ON}""",
    "knows_old_names": f"""
        case "$told" in *ip=*|*username=*|*plug=*) exit 1 ;; *ipaddr=*login=*port=8*) {ON} ;; esac
        exit 1""",
}
"""What each does when it is asked for anything but its metadata."""

DESCRIPTIONS: Mapping[str, str] = {
    "knows_old_names": metadata("action", "ipaddr", "login", "passwd", "port"),
    "metadata_garbage": "echo 'Usage: fence_thing [-o action]'",
    "metadata_fails": "echo 'Traceback (most recent call last):' >&2; exit 1",
    "metadata_doctype": f"echo '<!DOCTYPE x [<!ENTITY a \"b\">]>'; {SOUND}",
    "metadata_large": f"{SOUND}; head -c 2097152 /dev/zero | tr '\\0' ' '",
    "metadata_hangs": f"exec sleep {NAP_S}",
    "metadata_no_action": metadata("ip", "username"),
    "lost_its_file": "exec python3 /nonexistent/agent.py",
}
"""What those do that do not describe themselves well; the others know ``KNOWN``."""

SHEBANGS: Mapping[str, str] = {
    "no_interpreter": "#!/no/such/interpreter",
    "no_env_interpreter": "#!/usr/bin/env no-such-python",
}


_IPMILAN = f'echo "$told" | {program("fence_ipmilan")}; code=$?'
_IPMILAN_SOUND = metadata(*KNOWN, "lanplus", "cipher")

HABITS: Mapping[str, tuple[str, str]] = {
    "describes_itself_badly_on_a_proxy": (
        f"{_IPMILAN}; exit $code",
        only_on_a_proxy("echo Usage:", elsewhere=_IPMILAN_SOUND),
    ),
    "hangs_after_off": (
        f'{_IPMILAN}; case "$told" in action=off*) exec sleep {NAP_S} ;; esac; exit $code',
        _IPMILAN_SOUND,
    ),
    "fails_after_every_command": (
        f'{_IPMILAN}; case "$told" in action=o*) echo $told >&2; exit 1 ;; esac; exit $code',
        _IPMILAN_SOUND,
    ),
}
"""Those that are ``fence_ipmilan`` with a bad habit: what they do, and how they describe it."""


def install(directory: Path, name: str) -> None:
    """Put ``fence_<name>`` into *directory*, so that anybody may run it."""
    words, describe = HABITS.get(name, (WORDS.get(name, ON), DESCRIPTIONS.get(name, SOUND)))
    script = f"""{SHEBANGS.get(name, "#!/bin/sh")}
case "$*" in *metadata*) {describe}; exit 0 ;; esac
told=$(cat)
{words}
"""
    file = directory / f"fence_{name}"
    file.write_text(script)
    file.chmod(0o644 if name == "not_executable" else 0o755)
