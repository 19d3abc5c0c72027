"""
What goes wrong, by kind.

Every kind draws from a random source of its own, so leaving one out changes
nothing about when and where the others strike: that is what makes a failing
seed shrink.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from pmwatchd.core.model import Host, Probe, ProbeType
from tests.simulation import people
from tests.simulation.chance import source
from tests.simulation.hardware import Device, Machine
from tests.simulation.layout import ENGINE_HOST
from tests.simulation.moods import Moods

if TYPE_CHECKING:
    from tests.simulation.site import Site

DOWNTIMES_S = (0.05, 0.1, 0.5, 5.0, 40.0)
"""How long a daemon is away; a short while finds what the one before has left running."""

Strike = Callable[["Site", Random], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault, and the mean pause between two of them in a run that has it."""

    name: str
    every_s: float
    strike: Strike


def plan(site: Site, seed: int, until_s: float, without: frozenset[str]) -> None:
    """Choose the kinds of a run, and let each strike until all is to be healed."""
    for kind in KINDS:
        rng = source(seed, kind.name)
        chosen = rng.random() < _LIKELY.get(kind.name, 0.35)
        if not chosen or kind.name in without:
            continue
        site.kinds.append(kind.name)
        at_s = rng.expovariate(1 / kind.every_s)
        while at_s < until_s:
            strike_seed = rng.getrandbits(48)
            site.world.after(at_s, lambda k=kind, s=strike_seed: _strike(site, k, s))  # type: ignore[misc]
            at_s += rng.expovariate(1 / kind.every_s)


def _strike(site: Site, kind: Kind, seed: int) -> None:
    site.faults[kind.name] += 1
    site.story.note("fault", "{}", kind.name)
    kind.strike(site, source(seed))


# choosing a victim -------------------------------------------------------------------------


def _machine(site: Site, rng: Random) -> Machine:
    """Any machine but the one that the daemon runs on: that takes the daemon with it."""
    names = sorted(site.iron.machines.keys() - {ENGINE_HOST})
    return site.iron.machines[rng.choice(names)]


def _device(site: Site, rng: Random) -> Device:
    return site.iron.devices[rng.choice(sorted(site.iron.devices))]


def _proxy(site: Site, rng: Random) -> str:
    return rng.choice([*sorted(site.iron.machines), "bastion", "engine"])


def _for_a_while(site: Site, moods: Moods, mood: str, for_s: float) -> None:
    moods.begin(mood)
    site.world.after(for_s, lambda: moods.end(mood))


# hosts -------------------------------------------------------------------------------------


def _hangs(site: Site, rng: Random) -> None:
    machine = _machine(site, rng)
    if machine.powered:
        site.iron.hang(machine)


def _dies(site: Site, rng: Random) -> None:
    machine = _machine(site, rng)
    if machine.chassis is not None:
        site.iron.switch(machine.chassis, on=False)


def _reboots(site: Site, rng: Random) -> None:
    machine = _machine(site, rng)
    if machine.powered:
        site.iron.boot(machine)


def _boots_badly(site: Site, rng: Random) -> None:
    machine = _machine(site, rng)
    mood = rng.choice(["slow", "never"])
    _for_a_while(site, machine.moods, mood, rng.uniform(30.0, 300.0))


# heartbeats --------------------------------------------------------------------------------


def _beats_lost(site: Site, rng: Random) -> None:
    moods = site.net.host(_machine(site, rng).name)
    _for_a_while(site, moods, "lossy", rng.uniform(10.0, 120.0))


def _burst(site: Site, rng: Random) -> None:
    moods = site.net.host(_machine(site, rng).name)
    _for_a_while(site, moods, "cut", rng.uniform(5.0, 90.0))


def _all_cut(site: Site, rng: Random) -> None:
    for_s = rng.uniform(5.0, 60.0)
    for name in sorted(site.iron.machines):
        _for_a_while(site, site.net.host(name), "cut", for_s)


def _local_fault(site: Site, rng: Random) -> None:
    _for_a_while(site, site.net.here, "fault", rng.uniform(5.0, 60.0))


# proxies -----------------------------------------------------------------------------------


def _proxy_fault(*moods: str) -> Strike:
    def strike(site: Site, rng: Random) -> None:
        proxy = site.net.proxy(_proxy(site, rng))
        _for_a_while(site, proxy, rng.choice(moods), rng.uniform(5.0, 120.0))

    return strike


def _route_lost(site: Site, rng: Random) -> None:
    pair = _proxy(site, rng), _device(site, rng).address
    site.iron.lost_routes[pair] = site.world.now + rng.uniform(10.0, 200.0)


# agents and devices ------------------------------------------------------------------------


def _device_fault(*moods: str, longest_s: float = 60.0) -> Strike:
    def strike(site: Site, rng: Random) -> None:
        device = _device(site, rng)
        _for_a_while(site, device.moods, rng.choice(moods), rng.uniform(2.0, longest_s))

    return strike


def _dark(site: Site, rng: Random) -> None:
    device = _device(site, rng)
    if device.host is not None:
        device.dark = True


# disk --------------------------------------------------------------------------------------


def _disk_fails(site: Site, rng: Random) -> None:
    _for_a_while(site, site.disk.moods, "fails", rng.uniform(0.5, 60.0))


def _disk_slow(site: Site, rng: Random) -> None:
    _for_a_while(site, site.disk.moods, "slow", rng.uniform(0.5, 60.0))


# the daemon --------------------------------------------------------------------------------


def _kill(site: Site, rng: Random) -> None:
    site.downtime_s = rng.choice(DOWNTIMES_S)
    if site.daemon is not None:
        site.daemon.lifeline.kill()


def _kill_between(site: Site, rng: Random) -> None:
    """Kill it after so many more effects, of which a quiet daemon has few and a busy one many."""
    site.downtime_s = rng.choice(DOWNTIMES_S)
    if site.daemon is not None:
        site.daemon.lifeline.kill_after = rng.randint(1, 60)


def _terminate(site: Site, rng: Random) -> None:
    site.downtime_s = rng.choice(DOWNTIMES_S)
    if site.daemon is not None:
        site.daemon.terminate()


def _pause(site: Site, rng: Random) -> None:
    if site.daemon is not None:
        site.daemon.pause(rng.choice([0.5, 2.0, 8.0, 30.0, 100.0]))


def _inventory(site: Site, rng: Random) -> None:
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


KINDS = (
    Kind("host hangs", 75.0, _hangs),
    Kind("host dies", 150.0, _dies),
    Kind("host reboots", 100.0, _reboots),
    Kind("host boots badly", 75.0, _boots_badly),
    Kind("heartbeats lost singly", 50.0, _beats_lost),
    Kind("heartbeats lost in a burst", 50.0, _burst),
    Kind("all heartbeats lost", 200.0, _all_cut),
    Kind("local fault", 100.0, _local_fault),
    Kind("proxy refuses", 30.0, _proxy_fault(*("refuses", "no_session", "host_key", "no_account"))),
    Kind("proxy lacks the agent", 50.0, _proxy_fault("not_installed")),
    Kind("proxy is cut off", 25.0, _proxy_fault("cut")),
    Kind("proxy loses its route", 25.0, _route_lost),
    Kind("agent hangs", 30.0, _device_fault("hang")),
    Kind("agent is deaf to SIGTERM", 30.0, _device_fault("deaf")),
    Kind("agent answers late", 30.0, _device_fault("late")),
    Kind("agent fails", 30.0, _device_fault("fails")),
    Kind("agent exits 2 and says nothing", 30.0, _device_fault("silent2")),
    Kind("agent contradicts itself", 30.0, _device_fault("contradiction")),
    Kind("agent says garbage", 30.0, _device_fault("garbage")),
    Kind("device is unreachable", 30.0, _device_fault("unreachable", longest_s=150.0)),
    Kind("device refuses the password", 40.0, _device_fault("password")),
    Kind("device does nothing", 30.0, _device_fault("stuck")),
    Kind("device is dark when off", 150.0, _dark),
    Kind("disk fails", 75.0, _disk_fails),
    Kind("disk is slow", 75.0, _disk_slow),
    Kind("daemon is killed", 125.0, _kill),
    Kind("daemon is killed between two effects", 75.0, _kill_between),
    Kind("daemon is terminated", 150.0, _terminate),
    Kind("daemon is paused", 100.0, _pause),
    Kind("inventory changes", 125.0, _inventory),
    Kind("person commands", 50.0, people.command),
)

_LIKELY: Mapping[str, float] = {
    "host hangs": 0.9,
    "host dies": 0.5,
    "heartbeats lost in a burst": 0.5,
}
