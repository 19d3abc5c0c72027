"""Faults that look like many dead hosts, or like one that is not: networks, power, dumps."""

from __future__ import annotations

from collections.abc import Collection
from random import Random
from typing import TYPE_CHECKING

from tests.simulation.hardware import Machine, Switch
from tests.simulation.layout import ENGINE_HOST
from tests.simulation.partitions import DEVICES, MANAGER
from tests.simulation.strikes import for_a_while

if TYPE_CHECKING:
    from tests.simulation.site import Site


def _hosts(site: Site) -> list[str]:
    """Every host but the one that the daemon runs on: that is where the manager is."""
    return sorted(site.iron.machines.keys() - {ENGINE_HOST})


def _canaries(site: Site) -> list[str]:
    return [probe.address for probe in site.layout.rules.safety.canaries]


def _places(site: Site) -> set[str]:
    return {*_hosts(site), *_canaries(site), "bastion", MANAGER, DEVICES}


def _cut(site: Site, one: Collection[str], other: Collection[str], for_s: float) -> None:
    site.story.note("net", "{} | {} for {:.0f} s", sorted(one), sorted(other), for_s)
    site.world.after(for_s, site.net.parts.cut(one, other))


# networks ----------------------------------------------------------------------------------


def own_link_down(site: Site, rng: Random) -> None:
    """Cut the manager off from everything."""
    _cut(site, {MANAGER}, _places(site) - {MANAGER}, rng.choice([2.0, 20.0, 60.0, 200.0]))


def switch_blips(site: Site, rng: Random) -> None:
    """Let a switch fail: its hosts reach each other, and nobody else, or only not the manager."""
    hosts = site.layout.hosts
    group = rng.choice(["cluster", "rack"])
    domains = {name: host.cluster or "" for name, host in hosts.items()}
    if group == "rack":
        domains = {name: host.labels["rack"] for name, host in hosts.items()}
    chosen = domains[rng.choice(_hosts(site))]
    inside = {name for name in _hosts(site) if domains[name] == chosen}
    outside = {MANAGER} if rng.random() < 0.4 else _places(site) - inside - {DEVICES}
    _cut(site, inside, outside, rng.choice([1.0, 5.0, 30.0, 60.0, 150.0, 600.0]))


def host_link_down(site: Site, rng: Random) -> None:
    """Cut one host off, from everybody or from some."""
    host = rng.choice(_hosts(site))
    others = sorted(_places(site) - {host, DEVICES})
    some = others if rng.random() < 0.4 else rng.sample(others, rng.randint(1, len(others)))
    _cut(site, {host}, {MANAGER, *some}, rng.uniform(5.0, 150.0))


def parted(site: Site, rng: Random) -> None:
    """Part the places in two, in any combination."""
    places = sorted(_places(site))
    side = {place for place in places if rng.random() < 0.5}
    _cut(site, side, set(places) - side, rng.uniform(5.0, 120.0))


def proxies_cut(site: Site, rng: Random) -> None:
    """Cut the manager off from machines that run agents for it; heartbeats fail as well."""
    places = [*_hosts(site), "bastion"]
    _cut(site, {MANAGER}, rng.sample(places, rng.randint(1, 2)), rng.uniform(5.0, 120.0))


def device_network_down(site: Site, rng: Random) -> None:
    _cut(site, {DEVICES}, _places(site) - {DEVICES}, rng.uniform(5.0, 100.0))


# others ------------------------------------------------------------------------------------


def witness_sleeps(site: Site, rng: Random) -> None:
    for_a_while(site, site.net.proxy(rng.choice(_hosts(site))), "asleep", rng.uniform(10.0, 150.0))


def canary_dies(site: Site, rng: Random) -> None:
    for name in _canaries(site):
        if rng.random() < 0.5:
            for_a_while(site, site.net.proxy(name), "dead", rng.uniform(10.0, 150.0))


def lease_unreadable(site: Site, rng: Random) -> None:
    for_a_while(site, site.net.here, "lease unreadable", rng.uniform(5.0, 60.0))


# machines ----------------------------------------------------------------------------------


def rolling_reboots(site: Site, rng: Random) -> None:
    """Reboot one host after the other."""
    pause_s = rng.uniform(5.0, 40.0)
    for number, name in enumerate(_hosts(site)):
        machine = site.iron.machines[name]
        site.world.after(number * pause_s, lambda m=machine: _reboot(site, m))  # type: ignore[misc]


def _reboot(site: Site, machine: Machine) -> None:
    if machine.answers:
        site.iron.boot(machine)


def half_hangs(site: Site, rng: Random) -> None:
    """Hang a host so that a command on itself still helps."""
    machine = site.iron.machines[rng.choice(_hosts(site))]
    if machine.answers:
        machine.moods.begin("half hung")
        site.iron.hang(machine)


def dies_in_maintenance(site: Site, rng: Random) -> None:
    """Let a person work on a host, which hangs meanwhile and after it."""
    machine = site.iron.machines[rng.choice(_hosts(site))]
    site.people.maintain(machine.name, rng.choice([25.0, 50.0, 80.0]))
    if machine.answers:
        site.iron.hang(machine)


def mass_power_loss(site: Site, rng: Random) -> None:
    """Let the mains fail for many; they come back, and with them what they took."""
    lost: list[Switch] = []
    for name in _hosts(site):
        machine = site.iron.machines[name]
        if rng.random() < 0.7:
            chassis = [machine.chassis] if machine.chassis is not None else []
            lost += [switch for switch in machine.feeds or chassis if switch.on]
    for switch in lost:
        site.iron.switch(switch, on=False)
    site.world.after(rng.uniform(3.0, 60.0), lambda: _mains_back(site, lost))


def _mains_back(site: Site, lost: list[Switch]) -> None:
    for switch in lost:
        if switch not in site.witness.last_off:  # what was ordered off meanwhile stays off
            site.iron.switch(switch, on=True)


def crashes(site: Site, rng: Random) -> None:
    """Let a host write a crash dump, tell so, and boot by itself; some never end."""
    machine = site.iron.machines[rng.choice(_hosts(site))]
    if not machine.answers:
        return
    site.iron.hang(machine, "dumping")
    fell_at = machine.turned_at
    begins_s, lasts_s = rng.uniform(0.5, 10.0), rng.choice([4.0, 15.0, 40.0, 1e9])

    def dumping() -> bool:
        return machine.state == "dumping" and machine.turned_at == fell_at

    def send() -> None:
        if not dumping():
            return
        if site.world.now > fell_at + begins_s + lasts_s:
            site.iron.boot(machine)
            return
        if site.net.parts.reaches(machine.name, MANAGER) and rng.random() < 0.9:
            site.dump_heard(machine.name)
        site.world.after(2.0, send)

    site.world.after(begins_s, send)


def forged_dumps(site: Site, rng: Random) -> None:
    """Let somebody send datagrams in the name of a host, sometimes without end."""
    name = rng.choice([*_hosts(site), "nobody"])
    until_at = site.world.now + rng.choice([10.0, 60.0, 1e9])

    def send() -> None:
        site.dump_heard(name)
        if site.world.now < until_at:
            site.world.after(2.0, send)

    send()
