"""
A whole simulated site in one process: hosts, their power switches, SSH proxies, the files.

Every host has an address of its own in 127.0.0.0/8 and a port from the
kernel, so any number of labs run beside each other and none needs root.
The daemon's configuration and inventory are written for exactly this site.
"""

from __future__ import annotations

import asyncio
import secrets
import shlex
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncssh

from pmwatchd.lab import fence_lab, files
from pmwatchd.lab.bmc import PowerDevice
from pmwatchd.lab.chronicle import Chronicle
from pmwatchd.lab.dump import DumpSender, free_port
from pmwatchd.lab.iron import Iron, Machine, MachineState
from pmwatchd.lab.network import Network, Reach
from pmwatchd.lab.proxies import Proxy

SSH_USER = "pmwatchd"
DEVICE_USER = "fence"
PROXIES = 2
MIN_HOSTS, MAX_HOSTS = 3, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """
    One agent that every host has.

    Attributes:
        is_feed: An outlet of a PDU that all hosts share; else a BMC of the host's own.
    """

    name: str
    order: int
    is_feed: bool


class Site:
    """
    The site, and what a person could do to it with their hands.

    Args:
        folder: Where its files go; must exist.
        hosts: How many, from 3 to 200; the first two are the proxies.
        settings: What the daemon is told besides the usual, as TOML.
        kdump: The daemon listens for crash dumps, and every host can write one.
    """

    def __init__(
        self,
        folder: Path,
        hosts: int,
        wiring: tuple[Wire, ...],
        chronicle: Chronicle,
        *,
        seed: int | None = None,
        settings: str = "",
        kdump: bool = False,
    ) -> None:
        self.folder = folder
        self.config = folder / "pmwatchd.toml"
        self.api_socket = folder / "api.sock"
        self.names = tuple(f"node{number}" for number in range(1, hosts + 1))
        self.iron = Iron(chronicle.iron, seed=secrets.randbits(32) if seed is None else seed)
        self.devices: dict[str, PowerDevice] = {}
        self.proxies: dict[str, Proxy] = {}
        self._wiring = wiring
        self._chronicle = chronicle
        self._settings = settings
        self._kdump = kdump
        self._dump_to = ("", 0)
        self._dumps: dict[str, DumpSender] = {}
        self._network = Network()
        self._agents: dict[str, list[files.AgentEntry]] = {name: [] for name in self.names}
        self._places: dict[str, str] = {}
        self._block = (secrets.randbelow(200) + 20, secrets.randbelow(120) * 2)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        client_key = asyncssh.generate_private_key("ssh-ed25519")
        key_path = files.write_secret(self.folder / "id_ed25519", client_key.export_private_key())
        public_path = self.folder / "id_ed25519.pub"
        public_path.write_bytes(client_key.export_public_key())
        for number, name in enumerate(self.names, 1):
            machine = self.iron.machine(name)
            machine.changed = self._changed
            address = self._address(0, number)
            self._network.join(name, address)
            self._places[address] = name
            if number <= PROXIES:
                source = {"FENCE_LAB_SOURCE": address}
                route = self._network.from_inside
                self.proxies[name] = Proxy(name, address, public_path, source, route)
        await self._wire_power()
        for proxy in self.proxies.values():
            await proxy.open()
        known_hosts = "".join(f"{proxy.known_host}\n" for proxy in self.proxies.values())
        (self.folder / "known_hosts").write_text(known_hosts)
        files.install_agent(self.folder / "agents" / "fence_lab", _agent_script())
        files.write_config(self.config, self.folder, key_path, SSH_USER)
        if self._settings:
            files.write_drop_in(self.config, "play", self._settings)
        if self._kdump:
            manager = self._address(1, 252)
            self._dump_to = (manager, free_port(manager))
            files.write_drop_in(self.config, "kdump", files.kdump_settings(*self._dump_to))
        files.write_inventory(self.folder / "hosts.d" / "lab.toml", self._host_entries())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.iron.close()
        for device in self.devices.values():
            device.close()
        for proxy in self.proxies.values():
            await proxy.end()
        for sender in self._dumps.values():
            sender.stop()
        self._network.close()
        await asyncio.gather(*self._tasks)

    def machine(self, host: str) -> Machine:
        """The iron of a host; KeyError when there is none of that name."""
        return self.iron.machines[host]

    def lose_bmc(self, host: str) -> str:
        """Let the host's own BMC die; its name."""
        device = self.devices[f"{host}-bmc"]
        device.close()
        self._chronicle.lab("lab.bmc_died", f"{device.name} dies: nobody can reach it", host)
        return device.name

    async def mend_bmc(self, host: str) -> None:
        """Let the host's BMC answer again."""
        device = self.devices[f"{host}-bmc"]
        await device.open()
        self._chronicle.lab("lab.bmc_mended", f"{device.name} answers again", host)

    def lose_ssh(self, host: str) -> None:
        """Let the SSH server of a proxy die while its host lives on."""
        self.proxies[host].close()
        self._chronicle.lab("lab.ssh_died", f"the SSH server of {host} dies, the host lives", host)

    async def mend_ssh(self, host: str) -> None:
        """Let the SSH server of a proxy answer again."""
        await self.proxies[host].open()
        self._chronicle.lab("lab.ssh_mended", f"the SSH server of {host} answers again", host)

    def cut(self, hosts: Sequence[str]) -> None:
        """Let the network of living hosts fail: nobody reaches them."""
        self._network.limit(hosts, Reach.NOBODY)
        words = f"a switch fails: nobody reaches {', '.join(hosts)} any more, and they live on"
        self._chronicle.lab("lab.network_cut", words)

    def cut_manager_off(self, host: str) -> None:
        """Let the cable between the manager and a living host fail; proxies still reach it."""
        self._network.limit([host], Reach.PROXIES)
        words = f"the manager is cut off from {host}, which lives on; the proxies still reach it"
        self._chronicle.lab("lab.manager_cut_off", words, host)

    def mend_network(self, hosts: Sequence[str]) -> None:
        """Let everybody reach these hosts again, as far as they live."""
        self._network.limit(hosts, Reach.EVERYBODY)
        words = f"the network of {', '.join(hosts)} works again"
        self._chronicle.lab("lab.network_mended", words)

    async def _wire_power(self) -> None:
        """A BMC for each host, a PDU for all, as the wiring says; agents for the inventory."""
        for place, wire in enumerate(self._wiring, 1):
            switches = {
                name: self.iron.switch(
                    self.machine(name),
                    f"{wire.name}/{number}" if wire.is_feed else f"{name}-{wire.name}",
                    is_feed=wire.is_feed,
                )
                for number, name in enumerate(self.names, 1)
            }
            if wire.is_feed:
                plugs = {str(n): switch for n, switch in enumerate(switches.values(), 1)}
                pdu = await self._device(wire.name, self._address(1, 250 - place), plugs)
                for number, name in enumerate(self.names, 1):
                    self._agents[name].append(_agent(wire, pdu, self.folder, plug=str(number)))
                continue
            for number, (name, switch) in enumerate(switches.items(), 1):
                bmc = await self._device(switch.name, self._address(1, number), {"": switch})
                self._agents[name].append(_agent(wire, bmc, self.folder))

    async def _device(self, name: str, address: str, switches: files.Switches) -> PowerDevice:
        password = secrets.token_urlsafe(12)
        files.write_secret(self.folder / "secrets" / name, password.encode())
        device = self.devices[name] = PowerDevice(
            name,
            address,
            switches,
            user=DEVICE_USER,
            password=password,
            place=lambda caller: self._places.get(caller, "engine"),
        )
        await device.open()
        return device

    def _host_entries(self) -> list[files.HostEntry]:
        blue = max(PROXIES + 1, (len(self.names) + 1) // 2)
        return [
            files.HostEntry(
                name=name,
                address=self._network.place_of(name)[0],
                port=self._network.place_of(name)[1],
                cluster="blue" if number <= blue else "green",
                ssh_port=self.proxies[name].port if name in self.proxies else None,
                agents=tuple(self._agents[name]),
                kdump=self._kdump,
            )
            for number, name in enumerate(self.names, 1)
        ]

    def _address(self, network: int, number: int) -> str:
        first, second = self._block
        return f"127.{first}.{second + network}.{number}"

    def _changed(self, machine: Machine) -> None:
        """A host lives or dies: so do its sign of life, its SSH server, the word of its dump."""
        running = machine.state is MachineState.RUNNING
        proxy = self.proxies.get(machine.name)
        self._network.runs(machine.name, yes=running)
        if (sender := self._dumps.pop(machine.name, None)) is not None:
            sender.stop()
        if machine.state is MachineState.DUMPING and self._kdump:
            address, _ = self._network.place_of(machine.name)
            self._dumps[machine.name] = DumpSender(address, self._dump_to)
        if proxy is not None and running:
            self._spawn(proxy.open())
        elif proxy is not None:
            proxy.close()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.add(asyncio.create_task(work))


def _agent(
    wire: Wire, device: PowerDevice, folder: Path, plug: str | None = None
) -> files.AgentEntry:
    return files.AgentEntry(
        name=wire.name,
        order=wire.order,
        address=device.address,
        port=device.port,
        plug=plug,
        user=DEVICE_USER,
        secret=folder / "secrets" / device.name,
        switches="feed" if wire.is_feed else "chassis",
    )


def _agent_script() -> str:
    """
    A program that runs the bundled agent.

    By ``exec`` from a shell and not by ``#!``, which knows neither a path
    with blanks nor a long one.
    """
    program = [sys.executable, "-I", "-S", str(Path(fence_lab.__file__).resolve())]
    return f'#!/bin/sh\nexec {shlex.join(program)} "$@"\n'
