"""
How fence agents are spoken to: old and new words, and what is never said.

ClusterLabs agents read ``key=value`` lines from stdin.  They know every
option by a new and by an old name, strip each line, and take the last of two
equal keys.  oVirt adds names of its own.  Here all of that becomes one
spelling, and what could turn an order into another one, or run or write
something on the proxy, is refused.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pmwatchd.core.metadata import Metadata
from pmwatchd.core.model import FenceAction, FenceAgent, Secret

TYPE_ALIASES = {"drac7": "ipmilan", "ilo2": "ilo"}
OPTION_ALIASES = {
    "option": "action",
    "ipaddr": "ip",
    "address": "ip",
    "udpport": "ipport",
    "login": "username",
    "passwd": "password",
    "passwd_script": "password_script",
    "port": "plug",
    "slot": "plug",
    "cmd_prompt": "command_prompt",
    "sudo": "use_sudo",
    "debug": "debug_file",
}
# Types whose only encrypted way is TLS; everywhere else ``secure`` means SSH.
TLS_TYPES = frozenset(
    {
        "cisco_ucs",
        "docker",
        "ilo",
        "pve",
        "redfish",
        "rhevm",
        "skalar",
        "vmware_rest",
        "vmware_soap",
        "vmware_vcloud",
        "zvmip",
    }
)

# Where an agent knows several old names of one option, the first of them is taken.
_AGE = {word: age for age, word in enumerate(OPTION_ALIASES)}
_WAITING = "power_wait"
_OURS = {
    "action": "the action is always the daemon's own",
    "ip": "the daemon sets it from `address`",
    "ipport": "the daemon sets it from `ipport`",
    "username": "the daemon sets it from `username`",
    "password": "the daemon sets it from `password`",
    "plug": "the daemon sets it from `plug`",
    "port_as_ip": "it would replace the address by the plug",
    "nodename": "the daemon names the outlet by `plug` alone",
    "delay": "the agent would sleep between our last look at the host and its command",
    "help": "the agent would only tell how it is used",
    "version": "the agent would only tell its version",
    "missing_as_off": "it claims that an outlet is off which was not even found",
}
_RUNS_OR_WRITES = frozenset({"exec", "logfile", "runonfail", "runonwarn", "ssh_options"})
_RUNS_OR_WRITES_ENDINGS = ("_script", "_path", "_file")
_HARMLESS = frozenset({"api_path"})  # a part of a URL (fence_vmware_rest)
_TYPE = re.compile(r"[a-z0-9][a-z0-9_]*")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")
_BREAKING = ("\n", "\r", "\0")
_QUOTES = ("'", '"')


def canonical_type(word: str) -> str:
    """The one spelling of an agent's type: ``fence_drac7`` is ``ipmilan``."""
    name = word.strip().lower().replace("-", "_").removeprefix("fence_")
    return TYPE_ALIASES.get(name, name)


def forbidden_type(name: str) -> str | None:
    """Why a canonical type cannot name a program, or None: it becomes a part of a path."""
    return None if _TYPE.fullmatch(name) else "a type is made of letters, digits and underscores"


@lru_cache(maxsize=4096)
def canonical_option(word: str, agent_type: str | None = None) -> str:
    """
    The new name of an option; unknown ones keep their name, hyphens become underscores.

    The meaning of ``secure`` depends on *agent_type* (canonical): TLS or SSH.
    """
    name = word.strip().replace("-", "_")
    lower = name.lower()
    if lower == "secure":
        return "ssl" if agent_type in TLS_TYPES else "ssh"
    # Some agents have options in mixed case (resourceGroup), so only known words are lowered.
    return OPTION_ALIASES.get(lower, name)


def forbidden_option(name: str) -> str | None:
    """Why an option may not be given, in whatever spelling, or None."""
    word = canonical_option(name).lower()
    if not _NAME.fullmatch(name.replace("-", "_")):  # as it is sent: a newline would end its line
        return "an option's name is made of letters, digits, underscores, hyphens and dots"
    if word in _OURS:
        return _OURS[word]
    if word in _HARMLESS:
        return None
    if word in _RUNS_OR_WRITES or word.endswith(_RUNS_OR_WRITES_ENDINGS):
        return "it runs or writes something on the proxy"
    return None


def forbidden_value(name: str, value: str) -> str | None:
    """Why an allowed option may not have this value, or None."""
    if canonical_option(name).lower() == "method" and value.strip().strip("\"'").lower() == "cycle":
        return "cycling claims an off that nobody has seen"
    return None


def unsafe_value(value: str, *, secret: bool) -> str | None:
    """Why an agent would read a value differently from what is meant, or None."""
    if any(character in value for character in _BREAKING):
        return "it holds a newline, a carriage return or a NUL"
    if any("\ud800" <= character <= "\udfff" for character in value):
        return "it holds bytes that are not UTF-8"
    if secret and value != value.strip():
        return "it begins or ends with a blank, which agents strip"
    if secret and (value.startswith(_QUOTES) or value.endswith(_QUOTES)):
        return "it begins or ends with a quote, which agents may strip"
    return None


@lru_cache(maxsize=4096)
def spelled(name: str, agent_type: str, metadata: Metadata) -> str | None:
    """What an agent calls an option: the new name where it knows that, else an old one, or None."""
    if name in metadata.parameters:
        return name
    known = [word for word in metadata.parameters if canonical_option(word, agent_type) == name]
    return min(known, key=lambda word: (_AGE.get(word.lower(), -1), word), default=None)


def unspeakable(agent: FenceAgent, metadata: Metadata | None) -> str | None:
    """
    Why an agent may not be run by what is known of it, or None.

    An agent that is told no action switches something off and on again, and
    one that is not told which of many systems is meant takes any; so nothing
    is left out on a guess, and nothing is sent on a guess that the agent
    might write into a log together with its value.
    """
    if metadata is None:
        if any(_is_sent(name) for name in agent.options) and not agent.options_checked:
            return "it does not say which options it knows, and no other like it was asked"
        return None
    if spelled("action", agent.type, metadata) is None:
        return "it knows no option `action`, so it cannot be told what to do"
    return None


def unknown_options(agent: FenceAgent, metadata: Metadata) -> tuple[str, ...]:
    """Names of what is configured but not sent, because the agent does not know it."""
    return tuple(name for name, _ in _given(agent) if spelled(name, agent.type, metadata) is None)


def stdin_of(agent: FenceAgent, action: FenceAction, metadata: Metadata | None = None) -> bytes:
    """
    Everything an agent is told, as one buffer; the action first.

    Args:
        metadata: What the agent says of itself there, where it runs: names are
            chosen by it, and what it does not know is left out.  None when that
            is not known: new names, and everything that is configured.

    Raises:
        ValueError: Something that loading should have refused got this far.
            The text names the option and never shows its value.
    """
    if reason := unspeakable(agent, metadata):
        raise ValueError(f"agent {agent.name!r}: {reason}")
    lines = []
    for name, value in (("action", action.value), *_given(agent)):
        secret = not isinstance(value, str)
        shown = value if isinstance(value, str) else value.get_secret_value()
        if reason := unsafe_value(shown, secret=secret) or forbidden_value(name, shown):
            raise ValueError(f"option {name!r} of agent {agent.name!r}: {reason}")
        word = name if metadata is None else spelled(name, agent.type, metadata)
        if word is not None:
            lines.append(f"{word}={shown}\n")
    if metadata is not None and _WAITING in metadata.parameters:
        lines.append(f"{_WAITING}=0\n")  # we wait better, because we look meanwhile
    return "".join(lines).encode()


def _given(agent: FenceAgent) -> list[tuple[str, str | Secret]]:
    """Return all that is configured for an agent, in the order in which it is told."""
    ours: tuple[tuple[str, str | Secret | None], ...] = (
        ("ip", agent.address or None),
        ("ipport", None if agent.ipport is None else str(agent.ipport)),
        ("username", agent.username),
        ("password", agent.password),
        ("plug", agent.plug),
    )
    given = [(name, value) for name, value in ours if value is not None]
    for name in filter(_is_sent, sorted(agent.options)):
        if reason := forbidden_option(name):
            raise ValueError(f"option {name!r} of agent {agent.name!r}: {reason}")
        given.append((name, agent.options[name]))
    return given


def _is_sent(name: str) -> bool:
    """Whether an option is the operator's to set; the agent's own waiting is not."""
    return canonical_option(name) != _WAITING
