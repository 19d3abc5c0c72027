"""How each kind of fault strikes: its victim, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from pmwatchd.core.model import Action
from pmwatchd.core.signs import wants_words
from tests.simulation.hardware import Device, Machine
from tests.simulation.layout import ENGINE_HOST
from tests.simulation.moods import Moods

if TYPE_CHECKING:
    from tests.simulation.site import Site

DOWNTIMES_S = (0.05, 0.1, 0.5, 5.0, 40.0)
"""How long a daemon is away; a short while finds what the one before has left running."""

YEAR_S = 365.25 * 86400.0
JUMPS_S = (-3 * YEAR_S, -86400.0, -90.0, -1.0, 1.0, 90.0, 86400.0, 3 * YEAR_S)
"""By how much a wall clock is set wrong."""

Strike = Callable[["Site", Random], None]


# choosing a victim -------------------------------------------------------------------------


def _machine(site: Site, rng: Random) -> Machine:
    """Any machine but the one that the daemon runs on: that takes the daemon with it."""
    names = sorted(site.iron.machines.keys() - {ENGINE_HOST})
    return site.iron.machines[rng.choice(names)]


def _device(site: Site, rng: Random) -> Device:
    return site.iron.devices[rng.choice(sorted(site.iron.devices))]


def _proxy(site: Site, rng: Random) -> str:
    return rng.choice([*sorted(site.iron.machines), "bastion", "engine"])


def for_a_while(site: Site, moods: Moods, mood: str, for_s: float) -> None:
    """Let something be in a mood for so many seconds."""
    moods.begin(mood)
    site.world.after(for_s, lambda: moods.end(mood))


# hosts -------------------------------------------------------------------------------------


def hangs(site: Site, rng: Random) -> None:
    machine = _machine(site, rng)
    if machine.powered:
        site.iron.hang(machine)


def half_hangs(site: Site, rng: Random) -> None:
    """Let the kernel of a host go on that is asked for words, and nothing else; some come back."""
    hosts = site.layout.hosts
    asked = sorted(name for name in hosts if wants_words(hosts[name].heartbeat))
    wordy = [name for name in asked if name != ENGINE_HOST]
    if not wordy:
        return
    machine = site.iron.machines[rng.choice(wordy)]
    for_s = rng.choice([10.0, 50.0, 100.0, 1e9])
    if not machine.answers:
        return
    site.iron.hang(machine, "half")
    fell_at = machine.turned_at

    def wake() -> None:
        if machine.half and machine.turned_at == fell_at:
            site.iron.wake(machine)

    site.world.after(for_s, wake)


def dies(site: Site, rng: Random) -> None:
    machine = _machine(site, rng)
    if machine.chassis is not None:
        site.iron.switch(machine.chassis, on=False)


def reboots(site: Site, rng: Random) -> None:
    machine = _machine(site, rng)
    if machine.powered:
        site.iron.boot(machine)


def boots_badly(site: Site, rng: Random) -> None:
    machine = _machine(site, rng)
    mood = rng.choice(["slow", "never"])
    for_a_while(site, machine.moods, mood, rng.uniform(30.0, 300.0))


# heartbeats --------------------------------------------------------------------------------


def beats_lost(site: Site, rng: Random) -> None:
    moods = site.net.host(_machine(site, rng).name)
    for_a_while(site, moods, "lossy", rng.uniform(10.0, 120.0))


def burst(site: Site, rng: Random) -> None:
    moods = site.net.host(_machine(site, rng).name)
    for_a_while(site, moods, "cut", rng.uniform(5.0, 90.0))


def all_cut(site: Site, rng: Random) -> None:
    for_s = rng.uniform(5.0, 60.0)
    for name in sorted(site.iron.machines):
        for_a_while(site, site.net.host(name), "cut", for_s)


def local_fault(site: Site, rng: Random) -> None:
    for_a_while(site, site.net.here, "fault", rng.uniform(5.0, 60.0))


# proxies -----------------------------------------------------------------------------------


def proxy_fault(*moods: str) -> Strike:
    def strike(site: Site, rng: Random) -> None:
        proxy = site.net.proxy(_proxy(site, rng))
        for_a_while(site, proxy, rng.choice(moods), rng.uniform(5.0, 120.0))

    return strike


def route_lost(site: Site, rng: Random) -> None:
    pair = _proxy(site, rng), _device(site, rng).address
    site.iron.lost_routes[pair] = site.world.now + rng.uniform(10.0, 200.0)


# agents and devices ------------------------------------------------------------------------


def device_fault(*moods: str, longest_s: float = 60.0) -> Strike:
    def strike(site: Site, rng: Random) -> None:
        device = _device(site, rng)
        for_a_while(site, device.moods, rng.choice(moods), rng.uniform(2.0, longest_s))

    return strike


def dark(site: Site, rng: Random) -> None:
    device = _device(site, rng)
    if device.host is not None:
        device.dark = True


def forgets(site: Site, rng: Random) -> None:
    """Let a device start anew: what it was told is gone, and its outlets may be on as at first."""
    device = _device(site, rng)
    device.forget()
    if rng.random() < 0.5:
        for _, switch in sorted(device.plugs.items()):
            site.iron.switch(switch, on=True)


def policy_changes(site: Site, rng: Random) -> None:
    """Set what a chassis does when its feeds come back: it starts by itself, or it stays off."""
    machine = _machine(site, rng)
    machine.stays_off = not machine.stays_off


def rewired(site: Site, rng: Random) -> None:
    """Plug something in wrongly, and later rightly again; perhaps try whether it works."""
    what, host = site.wiring.spoil(rng)
    site.story.note("cables", "{}", what)
    site.world.after(rng.uniform(60.0, 400.0), lambda: _mended(site))
    if rng.random() < 0.5:
        trial_s = rng.uniform(1.0, 60.0)
        site.world.after(trial_s, lambda: site.people.power(host, Action.RESTART))


def unplugged(site: Site, rng: Random) -> None:
    """Plug something in where no power is, so that it reads off; perhaps its host then hangs."""
    what, host = site.wiring.darken(rng)
    site.story.note("cables", "{}", what)
    site.world.after(rng.uniform(30.0, 200.0), lambda: _mended(site))
    machine = site.iron.machines[host]
    hangs_s = rng.choice([20.0, 40.0, 1e9])

    def hang() -> None:
        if machine.answers and not site.calm:
            site.iron.hang(machine)

    site.world.after(hangs_s, hang)


def _mended(site: Site) -> None:
    site.story.note("cables", "are as the inventory says")
    site.wiring.mend()


# disk --------------------------------------------------------------------------------------


def disk_fails(site: Site, rng: Random) -> None:
    for_a_while(site, site.disk.moods, "fails", rng.uniform(0.5, 60.0))


def disk_slow(site: Site, rng: Random) -> None:
    for_a_while(site, site.disk.moods, "slow", rng.uniform(0.5, 60.0))


# the daemon --------------------------------------------------------------------------------


def kill(site: Site, rng: Random) -> None:
    site.downtime_s = rng.choice(DOWNTIMES_S)
    if site.daemon is not None:
        site.daemon.lifeline.kill()


def kill_between(site: Site, rng: Random) -> None:
    """Kill it after so many more effects, of which a quiet daemon has few and a busy one many."""
    site.downtime_s = rng.choice(DOWNTIMES_S)
    if site.daemon is not None:
        site.daemon.lifeline.kill_after = rng.randint(1, 60)


def terminate(site: Site, rng: Random) -> None:
    site.downtime_s = rng.choice(DOWNTIMES_S)
    if site.daemon is not None:
        site.daemon.terminate()


def pause(site: Site, rng: Random) -> None:
    if site.daemon is not None:
        site.daemon.pause(rng.choice([0.5, 2.0, 8.0, 30.0, 100.0]))


def clock_set(site: Site, rng: Random) -> None:
    """Set the wall clock wrong, or right again."""
    jump_s = rng.choice(JUMPS_S)
    right = rng.random() < 0.3
    site.calendar.wrong = timedelta() if right else timedelta(seconds=jump_s)
    site.story.note("clock", "shows {}", site.calendar.wall())
