"""Two hosts that claim the same: an address, an outlet, the place of the daemon."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pmwatchd.config.faults import Findings
from pmwatchd.config.hosts import Built
from pmwatchd.core.addresses import same_address
from pmwatchd.core.model import FenceAgent
from pmwatchd.errors import Fault


@dataclass(frozen=True, slots=True)
class Claim:
    """
    What a host claims for itself alone, and where it says so.

    Attributes:
        selection: Options that say which part of a device is meant.
    """

    host: str
    file: str
    key: str
    what: str
    selection: tuple[tuple[str, str], ...] = ()


def collide(hosts: Iterable[Built], findings: Findings) -> set[str]:
    """
    Find what two hosts claim at once; every one of them is at fault.

    Nobody knows which of them is right, and fencing the wrong one kills a
    healthy machine: so the names of all are returned, and none is watched.
    """
    claims: dict[object, list[Claim]] = {}
    for built in hosts:
        host, file, key = built.host, built.origin.file, built.origin.key
        if host.address:
            claims.setdefault(("address", same_address(host.address)), []).append(
                Claim(host.name, file, f"{key}.address", "the address")
            )
        if host.engine:
            claims.setdefault("engine", []).append(
                Claim(host.name, file, f"{key}.engine", "to be the daemon's own host")
            )
        for agent in host.power_management.agents:
            if not agent.address or agent.name in built.shared:
                continue
            claims.setdefault(_outlet(agent), []).append(
                Claim(
                    host.name,
                    file,
                    f"{key}.power_management.agents.{agent.name}",
                    "the power switch (address, ipport and plug)",
                    agent.selection,
                )
            )
    return {name for rivals in claims.values() for name in _tell(rivals, findings)}


def _tell(rivals: list[Claim], findings: Findings) -> set[str]:
    """Tell every claim that another host contests; return the hosts that make one."""
    told = set()
    for claim in rivals:
        contested = {one.host for one in rivals if not _apart(one, claim)}
        others = ", ".join(sorted(contested - {claim.host}))
        if not others:
            continue
        told.add(claim.host)
        remedy = "Correct one of them"
        if claim.what.startswith("the power switch"):
            remedy += ", or say shared = true at the agents if it is so"
        findings.fault(
            Fault(claim.file, claim.key, f"{others} claims {claim.what} too", remedy, claim.host)
        )
    return told


def _outlet(agent: FenceAgent) -> object:
    port = agent.ipport or agent.default_ipport
    return ("outlet", same_address(agent.address), port, agent.plug)


def _apart(one: Claim, other: Claim) -> bool:
    """Whether an option that both give tells two parts apart; nobody knows its default."""
    mine, theirs = dict(one.selection), dict(other.selection)
    return any(mine[name] != theirs[name] for name in mine.keys() & theirs.keys())
