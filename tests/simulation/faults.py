"""
What goes wrong, by kind.

Every kind draws from a random source of its own, so leaving one out changes
nothing about when and where the others strike: that is what makes a failing
seed shrink.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation import authority, inventories, outages, people, strikes
from tests.simulation.chance import source
from tests.simulation.network import BAD_MANUALS, REFUSALS
from tests.simulation.strikes import Strike

if TYPE_CHECKING:
    from tests.simulation.site import Site


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


KINDS = (
    Kind("host hangs", 75.0, strikes.hangs),
    Kind("host dies", 150.0, strikes.dies),
    Kind("host reboots", 100.0, strikes.reboots),
    Kind("host boots badly", 75.0, strikes.boots_badly),
    Kind("heartbeats lost singly", 50.0, strikes.beats_lost),
    Kind("heartbeats lost in a burst", 50.0, strikes.burst),
    Kind("all heartbeats lost", 200.0, strikes.all_cut),
    Kind("local fault", 100.0, strikes.local_fault),
    Kind("proxy refuses", 30.0, strikes.proxy_fault(*REFUSALS)),
    Kind("proxy lacks the agent", 50.0, strikes.proxy_fault("not_installed")),
    Kind("proxy is cut off", 25.0, strikes.proxy_fault("cut")),
    Kind("proxy loses its route", 25.0, strikes.route_lost),
    Kind("agent hangs", 30.0, strikes.device_fault("hang")),
    Kind("agent is deaf to SIGTERM", 30.0, strikes.device_fault("deaf")),
    Kind("agent answers late", 30.0, strikes.device_fault("late")),
    Kind("agent fails", 30.0, strikes.device_fault("fails")),
    Kind("agent exits 2 and says nothing", 30.0, strikes.device_fault("silent2")),
    Kind("agent contradicts itself", 30.0, strikes.device_fault("contradiction")),
    Kind("agent says garbage", 30.0, strikes.device_fault("garbage")),
    Kind("device is unreachable", 30.0, strikes.device_fault("unreachable", longest_s=150.0)),
    Kind("device refuses the password", 40.0, strikes.device_fault("password")),
    Kind("device does nothing", 30.0, strikes.device_fault("stuck")),
    Kind("device is dark when off", 150.0, strikes.dark),
    Kind("disk fails", 75.0, strikes.disk_fails),
    Kind("disk is slow", 75.0, strikes.disk_slow),
    Kind("daemon is killed", 125.0, strikes.kill),
    Kind("daemon is killed between two effects", 75.0, strikes.kill_between),
    Kind("daemon is terminated", 150.0, strikes.terminate),
    Kind("daemon is paused", 100.0, strikes.pause),
    Kind("inventory changes", 125.0, inventories.change),
    Kind("person commands", 50.0, people.command),
    Kind("agent does not describe itself", 50.0, strikes.proxy_fault(*BAD_MANUALS)),
    Kind("agent echoes its input", 40.0, strikes.device_fault("echoes")),
    Kind("agent prints very much", 75.0, strikes.device_fault("floods", longest_s=10.0)),
    Kind("agent prints what is not UTF-8", 40.0, strikes.device_fault("broken")),
    Kind("device forgets", 60.0, strikes.forgets),
    Kind("chassis policy changes", 60.0, strikes.policy_changes),
    Kind("plugs are miswired", 200.0, strikes.rewired),
    Kind("agents are renamed", 125.0, inventories.rename),
    Kind("wall clock is set", 100.0, strikes.clock_set),
    Kind("person vouches", 60.0, people.vouch),
    Kind("own link is down", 150.0, outages.own_link_down),
    Kind("switch blips", 100.0, outages.switch_blips),
    Kind("link of a host is down", 75.0, outages.host_link_down),
    Kind("network is parted", 100.0, outages.parted),
    Kind("proxies are cut off from us", 75.0, outages.proxies_cut),
    Kind("device network is down", 100.0, outages.device_network_down),
    Kind("witness lies asleep", 75.0, outages.witness_sleeps),
    Kind("canaries die", 100.0, outages.canary_dies),
    Kind("alive check cannot tell", 60.0, outages.lease_unreadable),
    Kind("hosts reboot in turn", 150.0, outages.rolling_reboots),
    Kind("host hangs by half", 75.0, outages.half_hangs),
    Kind("host dies in its maintenance", 75.0, outages.dies_in_maintenance),
    Kind("power is lost", 200.0, outages.mass_power_loss),
    Kind("host writes a crash dump", 60.0, outages.crashes),
    Kind("crash dump is forged", 75.0, outages.forged_dumps),
    Kind("person decides for all", 60.0, authority.decide),
    Kind("plug leads to what is off", 50.0, strikes.unplugged),
    Kind("kernel hangs, half of it goes on", 60.0, strikes.half_hangs),
)

_LIKELY: Mapping[str, float] = {
    "host hangs": 0.9,
    "host dies": 0.5,
    "heartbeats lost in a burst": 0.5,
    "agent prints very much": 0.2,
    "agent does not describe itself": 0.25,
    "plugs are miswired": 0.2,
    "agents are renamed": 0.25,
    "own link is down": 0.15,
    "switch blips": 0.2,
    "network is parted": 0.15,
    "device network is down": 0.15,
    "hosts reboot in turn": 0.15,
    "power is lost": 0.1,
    "person decides for all": 0.25,
    "plug leads to what is off": 0.5,
    "kernel hangs, half of it goes on": 0.5,
}
