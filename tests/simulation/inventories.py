"""Inventories that change while the daemon works, and change back."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from pmwatchd.core.model import FenceAgent, Host, Probe, ProbeType

if TYPE_CHECKING:
    from tests.simulation.site import Site


def change(site: Site, rng: Random) -> None:
    """Reload with a host missing or defined otherwise; later all is as it was."""
    name = rng.choice(sorted(site.layout.hosts))
    hosts = dict(site.hosts)
    if rng.random() < 0.4:
        hosts.pop(name, None)
    else:
        hosts[name] = _redefined(site.layout.hosts[name], rng)
    site.reload(hosts)
    site.world.after(rng.uniform(1.0, 200.0), lambda: site.reload(dict(site.layout.hosts)))


def _redefined(host: Host, rng: Random) -> Host:
    match rng.randrange(3):
        case 0:
            probe = Probe(type=ProbeType.TCP, address=host.address, port=2222)
            return replace(host, heartbeat=replace(host.heartbeat, probes=(probe,)))
        case 1:
            return replace(host, extra_grace_s=host.extra_grace_s + 5.0)
        case _:
            power = host.power_management
            agents = tuple(replace(agent, order=9 - agent.order) for agent in power.agents)
            return replace(host, power_management=replace(power, agents=agents))


def rename(site: Site, rng: Random) -> None:
    """Reload with agents called otherwise, or missing; later all is as it was."""
    name = rng.choice(sorted(site.layout.hosts))
    host = site.layout.hosts[name]
    power = host.power_management
    agents = _renamed(power.agents, rng)
    hosts = dict(site.hosts)
    hosts[name] = replace(host, power_management=replace(power, agents=agents))
    site.reload(hosts)
    site.world.after(rng.uniform(1.0, 200.0), lambda: site.reload(dict(site.layout.hosts)))


def _renamed(agents: tuple[FenceAgent, ...], rng: Random) -> tuple[FenceAgent, ...]:
    kind = rng.random()
    if kind < 0.5:
        return tuple(replace(agent, name=f"{agent.name}-new") for agent in agents)
    if kind < 0.75 and agents:
        gone = rng.choice(agents)
        return tuple(agent for agent in agents if agent is not gone)
    return ()
