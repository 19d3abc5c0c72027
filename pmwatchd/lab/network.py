"""
Who reaches whom: two networks, and one leg of every host in each.

The daemon's probes go to the leg in the manager's network, and that is what
the inventory names.  A proxy that connects to the same place from inside the
site arrives at the other leg, as it would over another switch.  So a cut can
take a host away from everybody, or from the manager alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from pmwatchd.lab.listener import Listener


class Reach(Enum):
    """Who reaches a host that runs; one that does not run is reached by nobody."""

    EVERYBODY = auto()
    PROXIES = auto()
    NOBODY = auto()


@dataclass(slots=True)
class _Legs:
    manager_side: Listener
    proxy_side: Listener
    runs: bool = True
    reach: Reach = Reach.EVERYBODY


class Network:
    """The legs of all hosts; needs a running event loop."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Legs] = {}

    def join(self, host: str, address: str) -> None:
        """Give a host its two legs."""
        self._hosts[host] = _Legs(Listener(address), Listener(address))

    def place_of(self, host: str) -> tuple[str, int]:
        """Where the manager finds a host: address and port."""
        leg = self._hosts[host].manager_side
        return leg.address, leg.port

    def from_inside(self, address: str, port: int) -> tuple[str, int]:
        """Where a proxy arrives that connects to a place; anything but a host is where it is."""
        for legs in self._hosts.values():
            if (legs.manager_side.address, legs.manager_side.port) == (address, port):
                return legs.proxy_side.address, legs.proxy_side.port
        return address, port

    def runs(self, host: str, *, yes: bool) -> None:
        """Take in that a host begins or ceases to answer."""
        self._hosts[host].runs = yes
        self._settle(self._hosts[host])

    def limit(self, hosts: Iterable[str], reach: Reach) -> None:
        """Cut cables, or mend them: from now on these hosts are reached so far."""
        for host in hosts:
            self._hosts[host].reach = reach
            self._settle(self._hosts[host])

    def close(self) -> None:
        """Give all ports back."""
        for legs in self._hosts.values():
            legs.manager_side.close()
            legs.proxy_side.close()

    @staticmethod
    def _settle(legs: _Legs) -> None:
        _answer(legs.manager_side, yes=legs.runs and legs.reach is Reach.EVERYBODY)
        _answer(legs.proxy_side, yes=legs.runs and legs.reach is not Reach.NOBODY)


def _answer(leg: Listener, *, yes: bool) -> None:
    if yes:
        leg.answer()
    else:
        leg.fall_silent()
