"""A site: machines, BMCs, a proxy and the daemon's configuration, all in one directory."""

from __future__ import annotations

import getpass
import itertools
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.kit.bmc import Bmc, MuteBmc
from tests.kit.crowd import Crowd
from tests.kit.daemon import Daemon
from tests.kit.machine import Machine
from tests.kit.parts import program
from tests.kit.proxy import Proxy, make_key

Table = Mapping[str, object]

COMPRESSED: Mapping[str, Table] = {
    "heartbeat": {"interval": "500ms", "timeout": "300ms"},
    "grace": {"period": "2s", "failures": 3},
    "fencing": {
        "off_status_delay": "1s",
        "off_status_retries": 15,
        "on_status_delay": "1s",
        "on_status_retries": 15,
        "agent_timeout": "7s",
        "status_timeout": "4s",
        "kill_after": "1s",
        "quiet_time": "1s",
        "retry": {"min": "1s", "max": "5s"},
    },
    "safety": {"startup_hold": "0s", "inspect_every": "0s"},
}
"""The daemon's waiting times, shorter than in life but in the same order."""

NO_STORM: Table = {"storm": {"threshold_percent": 100}}
"""Section ``safety`` of a site so small that what is silent in a test is most of it."""


def toml(value: object) -> str:
    """One value as TOML writes it; tables are written inline."""
    match value:
        case Mapping():
            return "{ " + ", ".join(f"{key} = {toml(v)}" for key, v in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(toml(item) for item in value) + "]"
        case _:
            return json.dumps(value)


def write_toml(path: Path, tables: Mapping[str, object]) -> None:
    """Write a document of tables, lists of tables and values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{key} = {toml(value)}\n" for key, value in tables.items()))


class Part(Protocol):
    """What can be switched on and taken away."""

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self) -> None:
        """End, whatever state it is in."""
        ...


@dataclass(slots=True)
class Site:
    """
    A place where a daemon can watch, fence and bring back; everything in it is ended by ``close``.

    Attributes:
        directory: Where all files are, except the API's socket.
        hosts: The inventory, in the order in which it was built.
    """

    directory: Path
    hosts: list[dict[str, object]] = field(default_factory=list)
    proxies: list[Proxy] = field(default_factory=list)
    daemon: Daemon | None = None
    _parts: ExitStack = field(default_factory=ExitStack)
    _short: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="pmwatchd-")))
    _addresses: itertools.count[int] = field(default_factory=lambda: itertools.count(2))

    @property
    def state_dir(self) -> Path:
        """Where the daemon keeps its journal."""
        return self.directory / "state"

    def bmc(self, name: str = "bmc", **settings: str | float) -> Bmc:
        """Start a BMC whose chassis is on."""
        bmc = Bmc(self.directory / name, **settings)  # type: ignore[arg-type]  # its own names
        self.add(bmc)
        return bmc

    def mute_bmc(self) -> MuteBmc:
        """Put up a BMC that never answers."""
        bmc = MuteBmc()
        self.add(bmc)
        return bmc

    def machine(self, name: str, *supplies: Bmc, address: str = "") -> Machine:
        """Start a machine that lives from these supplies, at this address or one of its own."""
        machine = Machine(name, address or f"127.0.50.{next(self._addresses)}", supplies)
        self.add(machine)
        return machine

    def proxy(self, name: str = "proxy1", **settings: object) -> Proxy:
        """Start an sshd and enter it into the inventory, in cluster blue."""
        proxy = Proxy(
            name,
            f"127.0.50.{next(self._addresses)}",
            self.directory / name,
            self.public_key(),
        )
        self.add(proxy)
        self.proxies.append(proxy)
        self.hosts.append(proxy.inventory(cluster="blue", **settings))
        return proxy

    def crowd(self, size: int) -> Crowd:
        """Enter so many hosts into the inventory, all answered for by one listener."""
        crowd = Crowd(size)
        self.add(crowd)
        password = self.directory / "crowd-password"
        password.write_text("never-sent\n")
        self.hosts.extend(crowd.inventory(str(password)))
        return crowd

    def canary(self) -> Table:
        """Put up something that always answers, so that nobody doubts the daemon's own network."""
        neighbour = Crowd(0)
        self.add(neighbour)
        return {"type": "tcp", "address": "127.0.50.1", "port": neighbour.port}

    def watch(
        self,
        machine: Machine,
        agents: Sequence[Table],
        *,
        proxies: Sequence[str] = ("cluster",),
        **power_management: object,
    ) -> None:
        """Enter a machine with its agents into the inventory, in cluster blue."""
        power = {"enabled": True, "proxies": list(proxies), "agents": list(agents)}
        power |= power_management
        self.hosts.append(machine.inventory(cluster="blue", power_management=power))

    def configure(self, sections: Mapping[str, Table] | None = None) -> Daemon:
        """Write the daemon's files; *sections* are merged over the compressed times."""
        known_hosts = self.directory / "known_hosts"
        known_hosts.write_text("".join(proxy.known_hosts() for proxy in self.proxies))
        api = self._short / "api.sock"
        tables: dict[str, object] = {
            "inventory": "hosts.d",
            "state_dir": str(self.state_dir),
            **COMPRESSED,
            "ssh": {
                "user": getpass.getuser(),
                "private_key": str(self._key()),
                "known_hosts": str(known_hosts),
            },
            "safety": {**COMPRESSED["safety"], "canaries": [self.canary()]},
            "api": {"socket": str(api)},
        }
        agent_dir = Path(program("fence_ipmilan") or "/usr/sbin/fence_ipmilan").parent
        tables["fencing"] = {
            **COMPRESSED["fencing"],
            "implicit_proxies": False,
            "agent_dir": str(agent_dir),
        }
        for name, section in (sections or {}).items():
            before = tables.get(name)
            tables[name] = {**before, **section} if isinstance(before, Mapping) else section
        config = self.directory / "pmwatchd.toml"
        write_toml(config, tables)
        write_toml(self.directory / "hosts.d" / "site.toml", {"hosts": self.hosts})
        self.daemon = Daemon(config, api, self.directory / "daemon.log")
        return self.daemon

    def add(self, part: Part) -> None:
        """Start a part, and end it with the site."""
        self._parts.callback(part.stop)  # first: one that fails to start is taken away as well
        part.start()

    def public_key(self) -> Path:
        """Return the key by which proxies let the daemon in."""
        return self._key().with_suffix(".pub")

    def close(self) -> None:
        """Take everything away, the daemon first."""
        if self.daemon is not None:
            self.daemon.kill()
        self._parts.close()
        shutil.rmtree(self._short)

    def _key(self) -> Path:
        key = self.directory / "id_ed25519"
        if not key.exists():
            make_key(key)
        return key
