"""
One run: a site, its faults, its daemons one after the other, an hour of calm, the end.

Everything follows from the seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from pmwatchd.core.model import Action, Alert, Host, Liveness
from pmwatchd.core.views import HostView
from tests.simulation import authority, faults
from tests.simulation.chance import source
from tests.simulation.daemon import Daemon, Surroundings
from tests.simulation.disk import Disk
from tests.simulation.endings import judge
from tests.simulation.figures import Figures, knows_better
from tests.simulation.hardware import Machine
from tests.simulation.invariants import Witness
from tests.simulation.iron import Iron
from tests.simulation.layout import lay_out
from tests.simulation.looks import keep_looking
from tests.simulation.loop import World
from tests.simulation.network import Net
from tests.simulation.partitions import DEVICES
from tests.simulation.people import People
from tests.simulation.story import Story
from tests.simulation.truth import Violation
from tests.simulation.wallclock import Calendar
from tests.simulation.wiring import Wiring

STORM_S = 30.0, 200.0, 50.0
"""Shortest and longest time of faults; short ones find what goes wrong at a start."""

CALM_S = 900.0
"""After the storm all is well for so long at most; a site that is well earlier ends its run."""

LOOK_EVERY_S = 20.0


@dataclass(slots=True)
class Result:
    """What a run came to."""

    seed: int
    violations: list[Violation]
    kinds: list[str]
    faults: Counter[str]
    outcomes: Counter[str]
    executions: Counter[str]
    host_s: float
    lives: int
    figures: Figures = field(default_factory=Figures)
    lines: list[str] = field(default_factory=list)


class Site:
    """
    A whole site under one seed.

    Attributes:
        calm: Everything is mended, and nothing goes wrong any more.
        over: The run has ended.
    """

    def __init__(self, seed: int, *, without: Collection[str] = (), told: bool = False) -> None:
        self.seed = seed
        self.world = World()
        self.calendar = Calendar(self.world)
        self.story = Story(self.world, kept=told)
        self.disk = Disk()
        self.witness = Witness(self.world, self.disk, self.story)
        self.iron = Iron(self.world, self._random("iron"), self.story, self.witness)
        self.net = Net(self._random("net"), lambda: self.world.now)
        layout, options = self._random("layout"), self._random("options")
        self.layout = lay_out(self.iron, layout, options, seed)
        self.iron.reaches_devices = lambda proxy: self.net.parts.reaches(proxy, DEVICES)
        self.wiring = Wiring(self.iron)
        self.net.old = self._old_machines()
        self.hosts: dict[str, Host] = dict(self.layout.hosts)
        self.people = People(self)
        self.witness.claims.iron, self.witness.people = self.iron, self.people
        self.witness.held.promises = self.people
        self.witness.knows_better = lambda host: knows_better(self, host)
        self.daemon: Daemon | None = None
        self.downtime_s = 1.0
        self.calm = self.over = False
        self.kinds: list[str] = []
        self.faults: Counter[str] = Counter()
        self._without = frozenset(without)
        self._slow = self._random("disk")
        self._lives = 0

    def run(self) -> Result:
        """Live through it."""
        boots = self._random("boots")
        for machine in self.iron.machines.values():
            machine.boot_s = lambda m=machine: _boot_s(m, boots)  # type: ignore[misc]
        self.disk.slow_s = lambda: self._slow.expovariate(1.0) if "slow" in self.disk.moods else 0.0
        self._describe()
        storm_s = self._random("storm").triangular(*STORM_S)
        faults.plan(self, self.seed, storm_s, self._without)
        self.world.after(storm_s, self._heal)
        keep_looking(self)
        began_at = self.world.now
        while not self.over:
            self._live()
            if not self.over:
                self.world.pass_until(self.world.now + self.downtime_s)
        return Result(
            seed=self.seed,
            violations=self.witness.violations,
            kinds=self.kinds,
            faults=self.faults,
            outcomes=self.witness.outcomes,
            executions=self.witness.executions,
            host_s=(self.world.now - began_at) * len(self.layout.hosts),
            lives=self._lives,
            figures=self.witness.figures,
            lines=self.story.lines,
        )

    def reload(self, hosts: dict[str, Host]) -> None:
        """Change the inventory; a daemon that does not run reads it at its next start."""
        self.story.note("person", "changes the inventory: {}", ", ".join(hosts))
        self.hosts = hosts
        if self.daemon is not None:
            self.daemon.load(hosts)

    def _live(self) -> None:
        around = Surroundings(
            world=self.world,
            calendar=self.calendar,
            iron=self.iron,
            net=self.net,
            disk=self.disk,
            witness=self.witness,
            story=self.story,
        )
        self._lives += 1
        self.people.restarted()
        self.daemon = Daemon(around, self.hosts, self.layout.rules)
        self.daemon.run()
        for bug in self.daemon.bugs:
            self.witness.broke("no exception escapes", bug)
        self.story.note("daemon", "is gone")
        self.daemon = None

    def _heal(self) -> None:
        """All is well again from now on: what the daemon owes must be paid soon."""
        self.story.note("fault", "none any more; everything is mended")
        self.calm = True
        for moods in (self.net.here, self.disk.moods):
            moods.clear()
        for many in (self.net.proxies, self.net.unheard):
            for moods in many.values():
                moods.clear()
        for machine in self.iron.machines.values():
            machine.moods.clear()
            machine.stays_off = False
            if machine.half and machine.lives_by_half:
                self.iron.wake(machine)
        for device in self.iron.devices.values():
            device.moods.clear()
            device.dark = False
            device.wrong = 0
        self.iron.lost_routes.clear()
        self.net.parts.mend()
        self.wiring.mend()
        self.calendar.wrong = timedelta()
        self.reload(dict(self.layout.hosts))
        self.world.after(LOOK_EVERY_S, lambda: self._look(self.world.now + CALM_S))

    def _look(self, until_at: float) -> None:
        """End if all is as it should be; look again if not; what is wrong in the end is wrong."""
        wrongs = [Violation(self.world.now, "end", "no daemon runs")]
        if self.daemon is not None:
            wrongs = judge(self)
            self._attend(self.daemon)
        if wrongs and self.world.now < until_at:
            self.world.after(LOOK_EVERY_S, lambda: self._look(until_at))
            return
        for wrong in wrongs:
            self.witness.broke(wrong.rule, wrong.what)
        self.over = True
        if self.daemon is not None:
            self.daemon.lifeline.kill()
        for track in self.witness.tracks.values():
            self.witness.outcomes[f"{track.cause} {track.action}: {track.outcome}"] += 1

    def dump_heard(self, host: str) -> None:
        """A datagram arrives in the name of a host."""
        if self.daemon is not None and self.daemon.lifeline.alive:
            self.daemon.dump_heard(host)

    def _attend(self, daemon: Daemon) -> None:
        """Let persons do what alerts ask of them."""
        authority.attend(self)
        for view in daemon.fleet.hosts():
            name = view.host.name
            self.people.status(name)  # which mends alerts about switches that are on
            miswired = Alert.MISWIRED in {alert.name for alert in view.alerts}
            if view.operation is None and miswired and not self._will_be_read(view):
                self.people.power(name, Action.RESTART)  # proves that the cables are mended

    def _will_be_read(self, view: HostView) -> bool:
        """Whether a mere reading tells that the cables are mended, now or when it has booted."""
        proven = self.witness.held.saved[view.host.name].miswired
        up = view.liveness is Liveness.UP and not proven
        return up or view.liveness is Liveness.BOOTING  # only who answers can be proven off

    def _old_machines(self) -> frozenset[str]:
        rng = self._random("manuals")
        names = (*sorted(self.iron.machines), "bastion", "engine")
        return frozenset(name for name in names if rng.random() < 0.15)

    def _describe(self) -> None:
        for host in self.layout.hosts.values():
            groups = " then ".join(
                "+".join(f"{agent.name}@{agent.device}" for agent in group) for group in host.groups
            )
            self.story.note("site", "{} in {}: {}", host.name, host.cluster, groups)

    def _random(self, name: str) -> Random:
        return source(self.seed, "site", name)


def _boot_s(machine: Machine, rng: Random) -> float | None:
    if "never" in machine.moods:
        return None
    return rng.uniform(3.0, 15.0) + (60.0 if "slow" in machine.moods else 0.0)
