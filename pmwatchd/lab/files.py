"""
The files of a simulated site: configuration with short times, inventory, secrets, the agent.

Only documented keys are used; the daemon cannot tell this site from another.
"""

from __future__ import annotations

import grp
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pmwatchd.lab.iron import Switch

Switches = Mapping[str, Switch]

CONFIG = """\
# Written by `pmwatchd lab`.  The times are far too short for real machines.
inventory = "hosts.d"
state_dir = {state_dir}

[heartbeat]
interval = "500ms"
timeout = "300ms"

[grace]
period = "2s"
failures = 3

[fencing]
agent_dir = {agent_dir}
off_status_delay = "500ms"
off_status_retries = 16
on_status_delay = "500ms"
on_status_retries = 16
agent_timeout = "3s"
status_timeout = "2s"
kill_after = "1s"
confirm_gap = "200ms"
boot_timeout = "10s"
quiet_time = "1s"
retry = {{ min = "1s", max = "5s" }}
proxies = ["cluster", "dc"]

[ssh]
user = {user}
private_key = {private_key}
known_hosts = {known_hosts}
connect_timeout = "2s"

[safety]
startup_hold = "0s"
inspect_every = "0s"

[safety.storm]
cooldown = "3s"
burst = {{ within = "3s" }}

[api]
socket = {api_socket}
{socket_group}
[log]
format = "json"
level = "info"
"""


KDUMP = """\
[kdump]
enabled = true
listen = {listen}
start_window = "1s"
quiet_after = "3s"
ceiling = "20s"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentEntry:
    """One agent of one host in the inventory; ``secret`` is the file with its password."""

    name: str
    order: int
    address: str
    port: int
    plug: str | None
    user: str
    secret: Path
    switches: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEntry:
    """One host in the inventory; ``ssh_port`` only where it serves as a proxy."""

    name: str
    address: str
    port: int
    cluster: str
    ssh_port: int | None
    agents: tuple[AgentEntry, ...]
    kdump: bool = False


def write_config(path: Path, folder: Path, private_key: Path, user: str) -> None:
    """Write ``pmwatchd.toml`` for a site whose files are all in *folder*."""
    (folder / "state").mkdir(mode=0o700)
    text = CONFIG.format(
        state_dir=_quoted(folder / "state"),
        agent_dir=_quoted(folder / "agents"),
        user=_quoted(user),
        private_key=_quoted(private_key),
        known_hosts=_quoted(folder / "known_hosts"),
        api_socket=_quoted(folder / "api.sock"),
        socket_group=_socket_group(),
    )
    path.write_text(text)


def write_drop_in(config: Path, name: str, text: str) -> None:
    """Write settings that one play needs, into a file that is read after *config*."""
    folder = config.parent / "conf.d"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.toml").write_text(text)


def kdump_settings(address: str, port: int) -> str:
    """Return what makes the daemon listen for crash dumps."""
    return KDUMP.format(listen=_quoted(f"{address}:{port}"))


def write_inventory(path: Path, hosts: Iterable[HostEntry]) -> None:
    """Write the hosts and their clusters, in one datacenter."""
    path.parent.mkdir()
    clusters = [f'[clusters.{name}]\ndatacenter = "lab"\n' for name in ("blue", "green")]
    path.write_text("\n".join([*clusters, *(_host(host) for host in hosts)]))


def write_secret(path: Path, content: bytes) -> Path:
    """Write a file that only its owner can read, from its first byte on; the path."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(content)
    return path


def install_agent(path: Path, script: str) -> None:
    """Install an executable fence agent."""
    path.parent.mkdir()
    path.write_text(script)
    path.chmod(0o755)


def _socket_group() -> str:
    """Our own group; the folder keeps others out.  A group without a name stays unsaid."""
    try:
        return f"socket_group = {_quoted(grp.getgrgid(os.getgid()).gr_name)}\n"
    except KeyError:
        return ""


def _host(host: HostEntry) -> str:
    proxy = (
        f"{{ enabled = true, port = {host.ssh_port} }}" if host.ssh_port else "{ enabled = false }"
    )
    lines = [
        "[[hosts]]",
        f"name = {_quoted(host.name)}",
        f"address = {_quoted(host.address)}",
        f"cluster = {_quoted(host.cluster)}",
        f'probes = [{{ type = "tcp", port = {host.port} }}]',
        f"as_proxy = {proxy}",
        "[hosts.power_management]",
        *(["kdump = true"] if host.kdump else []),
        "agents = [",
        *(f"  {_agent(agent)}," for agent in host.agents),
        "]",
    ]
    return "\n".join(lines) + "\n"


def _agent(agent: AgentEntry) -> str:
    plug = f", plug = {_quoted(agent.plug)}" if agent.plug is not None else ""
    return (
        f'{{ name = {_quoted(agent.name)}, type = "lab", order = {agent.order}'
        f", address = {_quoted(agent.address)}, ipport = {agent.port}{plug}"
        f', username = {_quoted(agent.user)}, switches = "{agent.switches}"'
        f", password = {{ file = {_quoted(agent.secret)} }} }}"
    )


def _quoted(value: object) -> str:
    """A TOML basic string; JSON's strings are among them."""
    return json.dumps(str(value), ensure_ascii=False)
