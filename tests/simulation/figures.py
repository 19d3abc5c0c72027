"""
Two figures that should be 0, and a distribution.

*Wrongful fences*: an automatic ``off`` to a host that was alive although its
grace had not ended, or somebody knew better who was asked or had to be asked.
*Unfenced*: truly dead in the end, although a path existed and no hold applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pmwatchd.core.model import Host, Liveness
from tests.simulation.hardware import Machine
from tests.simulation.partitions import MANAGER

if TYPE_CHECKING:
    from tests.simulation.network import Net
    from tests.simulation.site import Site

STEADY_S = 12.0
"""What has been true for so long was true when the last round of questions was asked."""


@dataclass(slots=True)
class Figures:
    """What a run adds to the sums."""

    wrongful: int = 0
    unfenced: int = 0
    proven_after_s: list[float] = field(default_factory=list)

    def add(self, other: Figures) -> None:
        """Add another run."""
        self.wrongful += other.wrongful
        self.unfenced += other.unfenced
        self.proven_after_s += other.proven_after_s


def knows_better(site: Site, host: Host) -> str:
    """Return who the daemon would have had to ask about a host that is alive, or ""."""
    now, machine = site.world.now, site.iron.machines[host.name]
    if machine.half and machine.lives_by_half and _heard_here(site.net, host.name, now):
        return "its weak signs of life, which are enough"
    if not machine.answers or now - machine.turned_at < STEADY_S:
        return ""
    here = site.net.here
    check = host.alive_check
    readable = "lease unreadable" not in here
    steady = now - here.changed_at("lease unreadable") > STEADY_S
    if check and not check.through_proxy and readable and steady:
        return "its alive check"
    if site.daemon is None or now - site.net.parts.changed_at < STEADY_S:
        return ""
    others = [name for name in site.layout.hosts if name != host.name]
    others += ["bastion"] if "bastion" in host.power_management.proxies else []
    up = {
        view.host.name
        for view in site.daemon.fleet.hosts()
        if view.liveness is Liveness.UP
        and now - view.since_at > STEADY_S
        and view.operation is None
        and view.maintenance is None
        and not view.host.engine
    }
    sure = [name for name in others if name in up and _reaches(site.net, name, host.name, now)]
    wanted = site.layout.rules.safety.witnesses
    if sure and len(others) - len(sure) < wanted:  # whoever is asked, one of these is among them
        return f"{', '.join(sure)}"
    return ""


def _heard_here(net: Net, host: str, now: float) -> bool:
    """Whether everything that a host sends gets through to the manager, and has for some time."""
    ways = (net.here, net.host(host))
    changed_at = max(net.parts.changed_at, *(way.changed_at() for way in ways))
    lost = any(way.any for way in ways) or not net.parts.reaches(MANAGER, host)
    return not lost and now - changed_at > STEADY_S


def _reaches(net: Net, witness: str, suspect: str, now: float) -> bool:
    """Whether a witness that is asked says alive, and has for some time."""
    moods = net.proxy(witness)
    calm = not moods.any and now - moods.changed_at() > STEADY_S
    path = net.parts.reaches(MANAGER, witness) and net.parts.reaches(witness, suspect)
    return calm and path


def died_at(machine: Machine) -> float | None:
    """Return since when a machine is dead, or None."""
    return None if machine.answers else machine.turned_at


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return the middle and the two long ends of a distribution, in seconds."""
    if not values:
        return {}
    ranked = sorted(values)
    last = len(ranked) - 1
    return {f"p{share}": round(ranked[last * share // 100], 1) for share in (50, 90, 99)}
