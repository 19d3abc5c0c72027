"""What simulated agents say of themselves: the XML of ``-o metadata``, old and new versions."""

from __future__ import annotations

from functools import cache

_NEW = ("action", "ip", "ipport", "username", "password", "plug")
_OLD = ("action", "ipaddr", "udpport", "login", "passwd", "port")
_MORE = {
    "ipmilan": ("lanplus", "cipher", "privlvl", "timeout"),
    "apc_snmp": ("community", "snmp_version"),
}
_NEW_ONLY = ("power_wait", "power_timeout", "shell_timeout", "delay", "verbose", "quiet")
_NEEDED = frozenset({"action", "ip", "ipaddr"})
_PORTS = {"ipmilan": "623", "apc_snmp": "161"}

GARBAGE = b"Traceback (most recent call last):\n  ModuleNotFoundError: No module named 'fencing'\n"
TRUNCATED = b'<?xml version="1.0" ?>\n<resource-agent name="fence_x"><parameters><parameter na'


@cache
def manual(agent_type: str, *, old: bool) -> bytes:
    """Return what an agent prints; an old version knows neither new names nor ``power_wait``."""
    names = (*(_OLD if old else _NEW + _OLD), *_MORE[agent_type], *(() if old else _NEW_ONLY))
    plug = {"plug", "port"} if agent_type == "apc_snmp" else set()
    parameters = "\n".join(
        _parameter(agent_type, name, needed=name in _NEEDED | plug) for name in dict.fromkeys(names)
    )
    return _framed(agent_type, parameters)


@cache
def without_action(agent_type: str) -> bytes:
    """Return a manual of something that cannot be told what to do."""
    return _framed(agent_type, _parameter(agent_type, "ip", needed=True))


def _framed(agent_type: str, parameters: str) -> bytes:
    text = (
        f'<?xml version="1.0" ?>\n<resource-agent name="fence_{agent_type}" shortdesc="Fences">\n'
        f"<longdesc>Switches power.</longdesc>\n<parameters>\n{parameters}\n</parameters>\n"
        '<actions>\n<action name="on" automatic="0"/>\n<action name="off"/>\n'
        '<action name="status"/>\n<action name="metadata"/>\n</actions>\n</resource-agent>\n'
    )
    return text.encode()


def _parameter(agent_type: str, name: str, *, needed: bool) -> str:
    default = f' default="{_PORTS[agent_type]}"' if name == "ipport" else ""
    return (
        f'<parameter name="{name}" unique="0" required="{int(needed)}">'
        f'<content type="string"{default}/></parameter>'
    )
