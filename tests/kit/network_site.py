"""
A site in a network of its own, where every cable can be cut.

::

    manager ---- core ----+---- rack1 ---- node1, node2
                          +---- rack2 ---- node3, node4
                          +---- annex ---- proxy1, proxy2
                                             |
                                           device ---- the BMCs of all nodes

The canary is an address of the switch ``core``.  The proxies alone reach the
device network.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.kit.bmc import Bmc
from tests.kit.daemon import Daemon
from tests.kit.machine import Machine
from tests.kit.network import Network
from tests.kit.parts import program
from tests.kit.proxy import Proxy
from tests.kit.site import Part, Site, Table

MANAGER, CORE, ANNEX, DEVICE = "manager", "core", "annex", "device"
RACKS: Mapping[str, tuple[str, ...]] = {"rack1": ("node1", "node2"), "rack2": ("node3", "node4")}
NODES = tuple(name for names in RACKS.values() for name in names)
RACK_OF = {name: rack for rack, names in RACKS.items() for name in names}
PROXIES = ("proxy1", "proxy2")
EVERYBODY = (*NODES, *PROXIES)

GRACE_S = 3.0
"""Long enough that the canary is heard to be silent before."""

FENCING: Table = {"off_status_retries": 6}
"""A status that cannot be read is given up sooner."""

MANAGER_ADDRESS, CANARY_ADDRESS = "10.77.0.1", "10.77.0.254"


def _node_address(name: str) -> str:
    return f"10.77.0.{20 + int(name[-1])}"


def _proxy_address(name: str) -> str:
    return f"10.77.0.{10 + int(name[-1])}"


def _bmc_of(name: str) -> str:
    return f"bmc{name[-1]}"


def _bmc_address(name: str) -> str:
    return f"10.78.0.{100 + int(name[-1])}"


@dataclass(frozen=True, slots=True)
class _Placed:
    """A part that begins and ends in the network of one machine."""

    network: Network
    machine: str
    part: Part

    def start(self) -> None:
        with self.network.inside(self.machine):
            self.part.start()

    def stop(self) -> None:
        with self.network.inside(self.machine):
            self.part.stop()


@dataclass(slots=True)
class NetworkSite:
    """
    Four nodes in two racks, each with a BMC, two proxies, and the daemon.

    Attributes:
        site: Keeps the files and ends all parts; the network must outlive it.
        bmcs: By the name of their nodes.
    """

    site: Site
    network: Network
    bmcs: dict[str, Bmc] = field(default_factory=dict)
    machines: dict[str, Machine] = field(default_factory=dict)
    proxies: dict[str, Proxy] = field(default_factory=dict)

    def build(self) -> None:
        """Lay every cable, and start every part but the daemon."""
        self._lay_cables()
        key = self.site.public_key()
        for name in NODES:
            bmc = self.bmcs[name] = Bmc(
                self.site.directory / f"bmc-of-{name}", address=_bmc_address(name)
            )
            self.machines[name] = Machine(name, _node_address(name), [bmc])
        for name in PROXIES:
            directory = self.site.directory / name
            self.proxies[name] = Proxy(name, _proxy_address(name), directory, key)
        # first: machines follow the power of their BMCs
        self._start({_bmc_of(name): bmc for name, bmc in self.bmcs.items()})
        self._start({**self.machines, **self.proxies})

    def run(self, storm: Table, *, grace_s: float = GRACE_S) -> Daemon:
        """Start the daemon on the manager with these rules; return when it has heard everybody."""
        for proxy in self.proxies.values():
            self.site.proxies.append(proxy)
            self.site.hosts.append(proxy.inventory(cluster="blue"))
        for name, machine in self.machines.items():
            power = {"proxies": ["cluster"], "agents": [self.bmcs[name].agent()]}
            more = {"labels": {"rack": RACK_OF[name]}, "as_proxy": {"enabled": False}}
            self.site.hosts.append(
                machine.inventory(cluster="blue", power_management=power, **more)
            )
        canary = {"type": "icmp", "address": CANARY_ADDRESS}
        safety = {"canaries": [canary], "storm": storm}
        grace = {"period": f"{grace_s}s"}
        daemon = self.site.configure({"grace": grace, "fencing": FENCING, "safety": safety})
        with self.network.inside(MANAGER):
            daemon.start(within_s=40)
        for name in EVERYBODY:
            daemon.wait_status(name, "up", within_s=30)
        return daemon

    def kill(self, node: str) -> None:
        """End the operating system of a node: whoever knocks waits; its power stays on."""
        with self.network.inside(node):
            self.machines[node].kill()

    def powers(self) -> dict[str, list[str]]:
        """What each BMC that was sent anything recorded, by the name of its node."""
        return {
            name: [command.power for command in bmc.commands()]
            for name, bmc in self.bmcs.items()
            if bmc.commands()
        }

    def reads_power(self, machine: str, node: str) -> bool:
        """Whether the fence agent, run on a machine, can read the power of a node."""
        with self.network.inside(machine):
            asked = subprocess.run(
                ["timeout", "10", program("fence_ipmilan") or ""],
                input=self.bmcs[node].options("status"),
                check=False,
                capture_output=True,
            )
        return b"Status: ON" in asked.stdout

    @contextmanager
    def cut(self, machine: str, switch: str) -> Iterator[None]:
        """Pull a cable, and plug it in again afterwards."""
        self.network.cut(machine, switch)
        yield
        self.network.mend(machine, switch)

    def _lay_cables(self) -> None:
        network = self.network
        network.switch(CORE)
        network.address(CORE, f"{CANARY_ADDRESS}/24")
        for switch in (*RACKS, ANNEX):
            network.switch(switch, uplink=CORE)
        network.switch(DEVICE)
        network.machine(MANAGER, {CORE: f"{MANAGER_ADDRESS}/24"})
        for name, rack in RACK_OF.items():
            network.machine(name, {rack: f"{_node_address(name)}/24"})
        for name in PROXIES:
            device = f"10.78.0.{10 + int(name[-1])}/24"
            network.machine(name, {ANNEX: f"{_proxy_address(name)}/24", DEVICE: device})
        for name in NODES:
            network.machine(_bmc_of(name), {DEVICE: f"{_bmc_address(name)}/24"})

    def _start(self, parts: Mapping[str, Part]) -> None:
        """Start parts, by the machine that they run on, all at once."""
        placed = [_Placed(self.network, machine, part) for machine, part in parts.items()]
        with ThreadPoolExecutor(len(placed)) as threads:
            for started in [threads.submit(self.site.add, part) for part in placed]:
                started.result()
