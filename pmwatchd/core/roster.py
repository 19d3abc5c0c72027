"""
Which hosts are watched, and what a former start knew of them.

Takes in an inventory: who is new is recalled from the journal, who changed is
judged anew, who is gone leaves when its operation ends.  Operations that a
former start left open are continued as soon as their hosts can be fenced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from pmwatchd.core import operate, pause, proxies, resume, sitewatch, upkeep
from pmwatchd.core import watch as watching
from pmwatchd.core.events import InventoryLoaded
from pmwatchd.core.machine import Machine, recall
from pmwatchd.core.model import Alert, FenceAction, Host
from pmwatchd.core.orders import HoldDevice, SaveHost, SaveOperation
from pmwatchd.core.site import Site


class Roster:
    """
    The machines of a site, by name.

    Args:
        wall: This start, on the wall clock; ends only what a person set.
        memories: What the journal remembers of hosts.
        operations: Operations that a former start left open.

    Attributes:
        orphans: Those of these that nobody continues yet, by host.
    """

    def __init__(
        self,
        site: Site,
        wall: datetime,
        memories: Mapping[str, SaveHost],
        operations: Iterable[SaveOperation],
    ) -> None:
        self._site = site
        self._wall = wall
        self._memories = dict(memories)
        self._ends_at: dict[str, float] = {}
        self.orphans = {saved.host: saved for saved in operations}
        self.machines: dict[str, Machine] = {}

    def until(self, expires_at: datetime) -> float:
        """A wall-clock instant as one of this start's monotonic clock."""
        return self._site.started_at + (expires_at - self._wall).total_seconds()

    def begin(self, event: InventoryLoaded) -> list[Machine]:
        """Let other rules be valid; return the machines that are not watched any more."""
        site = self._site
        site.rules = event.rules
        site.observer.keep({probe.words for probe in event.rules.safety.canaries})
        removed = [one for name, one in self.machines.items() if name not in event.hosts]
        for machine in removed:  # one in an operation keeps its old definition until that ends
            machine.gone = True
        return removed

    def take(self, event: InventoryLoaded, now: float) -> list[Machine]:
        """Take in the hosts of an inventory; return the machines that are new or changed."""
        site = self._site
        if not site.hosts and site.epoch > 1:
            self._hold_devices(event)
        site.hosts = dict(event.hosts)
        site.called = proxies.spellings(site.hosts)
        changed = [machine for host in event.hosts.values() if (machine := self._take(host, now))]
        self._adopt_orphans(now)  # before anything else is begun with their hosts
        self._note_claims()
        self._tell_left_behind(now)
        if event.refused:
            site.raise_alert(Alert.INVENTORY_REFUSED, event.refused, now)
        else:
            site.clear_alert(Alert.INVENTORY_REFUSED)
        return changed

    def forget(self, machine: Machine, now: float) -> None:
        """Leave out a machine that nothing keeps any longer."""
        site, name = self._site, machine.name
        upkeep.clear(site, machine, *list(machine.alerts))
        if machine.saved is not None:
            self._memories[name] = machine.saved
        keeper = machine.maintenance
        self._ends_at.pop(name, None)
        if keeper is not None and keeper.until_at is not None:
            self._ends_at[name] = keeper.until_at  # the wall clock may have been set since
        del self.machines[name]
        site.census.forget(name)
        site.rounds.forget(name)
        site.answering.discard(name)
        site.missed.discard(name)
        site.fencing.discard(name)
        site.wanting.pop(name, None)
        site.serving.pop(name, None)
        if site.claims:
            self._note_claims()
        if self.is_left_behind(name):
            self._tell_left_behind(now)

    def is_left_behind(self, name: str) -> bool:
        """Whether a host that is not watched any more is owed something."""
        if name in self.machines:
            return False
        memory = self._memories.get(name, SaveHost(host=name))
        wanted = not memory.kept_off and not memory.left_off  # else a person wants it so
        return name in self.orphans or (wanted and bool({*memory.missing} - {*memory.given_up}))

    def give_up(self, name: str, now: float) -> SaveOperation | None:
        """By a person's word nobody has to bring this host back; return its operation, if any."""
        orphan = self.orphans.pop(name, None)
        if name not in self.machines:  # should it ever come back, its power is not forgotten
            known = self._memories.get(name, SaveHost(host=name))
            switched = resume.switched_off(orphan) if orphan else frozenset()
            off = tuple(sorted({*known.missing, *switched}))
            self._memories[name] = replace(known, missing=off, given_up=off)
            self._site.orders.append(self._memories[name])
        self._tell_left_behind(now)
        return orphan

    def _take(self, host: Host, now: float) -> Machine | None:
        """Take in one host of an inventory; return its machine if that is new or changed."""
        machine = self.machines.get(host.name)
        if machine is None:
            self._site.rounds.add(host.name)
            return self._add(host, now)
        if machine.host == host and not machine.gone:
            return None
        self._site.rounds.add(host.name)
        if machine.gone:  # nobody listened to it meanwhile
            machine.watch = watching.unheard(host, machine.watch, now)
        machine.host, machine.gone = host, False
        upkeep.redefine(self._site, machine, now)
        return machine

    def _hold_devices(self, event: InventoryLoaded) -> None:
        """Wait for what a former start may have left running, whoever is watched now."""
        agents = (agent for host in event.hosts.values() for agent in host.power_management.agents)
        for device in sorted({agent.device for agent in agents}):
            for_s = event.rules.fencing.over_s(FenceAction.STATUS)  # readings are not journalled
            self._site.orders.append(HoldDevice(device=device, for_s=for_s))
        for name in sorted(self.orphans):
            host = event.hosts.get(name)
            for one in resume.outstanding(self.orphans[name]):
                now_called = host.devices({one.outlet}) if host else frozenset()
                for device in sorted({one.device, *now_called}):
                    self._site.orders.append(HoldDevice(device=device, for_s=one.over_s))

    def _adopt_orphans(self, now: float) -> None:
        """Continue operations of a former start, as soon as their hosts can be fenced."""
        for name in sorted(self.orphans):
            machine = self.machines.get(name)
            if machine is None:
                continue
            if machine.host.groups or not resume.needs_agents(self.orphans[name]):
                operate.adopt(self._site, machine, self.orphans.pop(name), now)

    def _add(self, host: Host, now: float) -> Machine:
        site = self._site
        memory = self._memories.get(host.name)
        machine = recall(host, memory, now, self._until_at(memory, now))
        self.machines[host.name] = machine
        keeper = machine.maintenance
        if keeper is not None and keeper.until_at is not None:
            announce_at = sitewatch.announce_at(now, keeper.until_at)
            machine.maintenance = replace(keeper, announce_at=announce_at)
        upkeep.protect(site, machine, now)
        if memory is not None and memory.quiet:
            machine.quiet_until = now + site.rules.fencing.quiet_time_s
        upkeep.wired(site, machine, now)
        if machine.maintenance is None or not machine.maintenance.kept_off:
            upkeep.mended(site, machine, now)
        if memory is not None and memory.parked:
            reason = f"fenced {memory.fenced} times without being up for long"
            upkeep.alert(site, machine, Alert.PARKED, reason, now)
        if memory is not None and memory.left_off:
            upkeep.alert(site, machine, Alert.LEFT_OFF, "its switching on was cancelled", now)
        return machine

    def _until_at(self, memory: SaveHost | None, now: float) -> float | None:
        """Return the end of a maintenance, which is the only thing the wall clock ends."""
        if memory is None or memory.expires_at is None:
            return None
        ends_at = self._ends_at.get(memory.host)
        if ends_at is not None:
            return ends_at
        return pause.bounded(self.until(memory.expires_at), memory.maintenance_for_s, now)

    def _note_claims(self) -> None:
        """Let nobody else switch what the operation of a removed host still switches."""
        self._site.claims = {
            agent.outlet: f"{machine.operation.id} of {machine.name}, which was removed,"
            for machine in self.machines.values()
            if machine.gone and machine.operation is not None
            for agent in machine.operation.host.power_management.agents
        }

    def _tell_left_behind(self, now: float) -> None:
        """Never forget what is owed to a host, even when it cannot be fenced any more."""
        behind = [name for name in self._memories if self.is_left_behind(name)]
        names = ", ".join(sorted({*self.orphans, *behind}))
        if not names:
            self._site.clear_alert(Alert.LEFT_OFF)
            return
        reason = f"left off, of hosts that the inventory lacks or has without agents: {names}"
        self._site.raise_alert(Alert.LEFT_OFF, reason, now)
