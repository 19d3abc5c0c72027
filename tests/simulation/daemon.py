"""
One life of the daemon: the real core, engine, runner and agents, from start to end.

Joined as :mod:`pmwatchd.app` joins them, with imitations behind the ports.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pmwatchd.core.events import DumpHeard, Event, InventoryLoaded, PersonEvent
from pmwatchd.core.fleet import Fleet
from pmwatchd.core.model import FenceAction, Host
from pmwatchd.core.orders import (
    Accepted,
    Act,
    AskWitness,
    CheckAlive,
    FenceSoftly,
    Order,
    PowerRead,
    Record,
    Refused,
    RunAgent,
)
from pmwatchd.core.rules import Rules
from pmwatchd.engine import Engine
from pmwatchd.inquirer import Inquirer
from pmwatchd.io.agents import Catalogue, FenceAgents
from pmwatchd.runner import Runner
from tests.simulation.disk import Disk, Journal
from tests.simulation.ears import Ears
from tests.simulation.inquiries import Canaries, Inquiries
from tests.simulation.invariants import Witness
from tests.simulation.iron import Iron
from tests.simulation.lifeline import Lifeline
from tests.simulation.loop import SpinError, VirtualLoop, World
from tests.simulation.network import Net, Wire
from tests.simulation.story import Story
from tests.simulation.wallclock import Calendar


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What outlives a daemon."""

    world: World
    calendar: Calendar
    iron: Iron
    net: Net
    disk: Disk
    witness: Witness
    story: Story


class _Clock:
    """:class:`pmwatchd.ports.Clock` on the time of the world."""

    def __init__(self, world: World, calendar: Calendar) -> None:
        self._world = world
        self._calendar = calendar

    def now(self) -> float:
        return self._world.now

    def wall(self) -> datetime:
        return self._calendar.wall()


class _SeenFleet(Fleet):
    """The fleet, with every order seen at the instant it is given."""

    hears: Callable[[Event], None]
    seen: Callable[[list[Order]], None]
    counts: Callable[[Mapping[str, Host]], None]

    def step(self, event: Event, now: float) -> list[Order]:
        if isinstance(event, InventoryLoaded):
            self.counts(event.hosts)
        self.hears(event)
        orders = super().step(event, now)
        if orders:
            self.seen(orders)
        return orders


class Daemon:
    """
    A process: from its start until it is killed, stopped or broken.

    Attributes:
        bugs: Exceptions that left the engine or the runner.
    """

    def __init__(self, around: Surroundings, hosts: Mapping[str, Host], rules: Rules) -> None:
        world = around.world
        self._around = around
        self._loop = loop = VirtualLoop(world)
        self.lifeline = life = Lifeline(loop)
        self.rules = rules
        remembered = around.disk.begin()
        self.ears = Ears(
            around.iron,
            around.net,
            life,
            loop,
            listen=self._inbox,
            heard=around.witness.heard,
        )
        wire = Wire(around.iron, around.net, life, loop, delivered=around.witness.delivered)
        self.runner = Runner(
            agents=FenceAgents(
                agent_dir="/usr/sbin",
                ssh=wire,
                local=wire,
                catalogue=Catalogue(tell=self._tell),
            ),
            inbox=self._inbox,
            prober=self.ears,
            clock=loop.time,
        )
        self.inquirer = Inquirer(
            inquiries=Inquiries(around.iron, around.net, life), inbox=self._inbox
        )
        Canaries(around.net, life, loop, rules.safety.canaries, self._inbox)
        clock = _Clock(world, around.calendar)
        self.fleet = _SeenFleet(
            epoch=remembered.epoch,
            now=clock.now(),
            wall=clock.wall(),
            memories=remembered.hosts,
            operations=remembered.operations,
            load=lambda: self.runner.running,
            last_answer_at=self.ears.last_answer_at,
            site=remembered.site,
        )
        self.fleet.hears = around.witness.held.stepped
        self.fleet.seen = around.witness.ordered
        self.fleet.counts = around.witness.inventory
        self.engine = Engine(
            fleet=self.fleet,
            journal=Journal(around.disk, life, around.story),
            carry_out=self._carry_out,
            tellers=(around.story, around.witness),
            clock=clock,
            last_answer_at=self.ears.last_answer_at,
            sequence=remembered.sequence,
            durable=frozenset(saved.id for saved in remembered.operations),
        )
        self._running: asyncio.Task[None] | None = None
        self.bugs: list[str] = []
        around.witness.begun(hosts, rules, remembered)
        around.witness.held.begun(
            rules, remembered, lambda end: (end - clock.wall()).total_seconds()
        )
        self.load(hosts)

    def load(self, hosts: Mapping[str, Host]) -> None:
        """Take in an inventory, at start or by a reload."""
        self.hosts = dict(hosts)
        self.ears.watch(hosts)
        self.engine.put(InventoryLoaded(dict(hosts), self.rules))

    def run(self) -> None:
        """Live until the loop is stopped: by a kill, by the end of everything, or by a bug."""
        loop = self._loop
        asyncio.set_event_loop(loop)
        self._running = loop.create_task(self._live(), name="daemon")
        self._running.add_done_callback(lambda _task: loop.stop())
        try:
            loop.run_forever()
        except SpinError as spin:
            self.bugs.append(str(spin))
        if self._running.done() and not self._running.cancelled():
            error = self._running.exception()
            if error is not None:
                self.bugs += [_words(leaf) for leaf in _leaves(error)]
        self.bugs += loop.bugs
        self.lifeline.alive = False
        loop.bury()
        asyncio.set_event_loop(None)

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.engine.run(), name="engine")
            tasks.create_task(self.runner.run(), name="runner")
            tasks.create_task(self.inquirer.run(), name="questions")

    def pause(self, for_s: float) -> None:
        """SIGSTOP, and SIGCONT so many seconds later."""
        world = self._around.world
        world.stopped_until = max(world.stopped_until, world.now + for_s)
        self._around.witness.paused(for_s)

    def terminate(self) -> None:
        """SIGTERM: begin nothing more, await what runs, end."""
        self._loop.create_task(self._end(), name="sigterm")

    def dump_heard(self, host: str) -> None:
        """Let a datagram of a crash dump arrive, whoever sent it; it is read when there is time."""
        self._loop.call_soon(lambda: self._inbox(DumpHeard(host, self._loop.time())))

    def ask(
        self,
        make: Callable[[int], PersonEvent],
        answered: Callable[[Accepted | Refused | PowerRead], None],
    ) -> None:
        """Let a person ask; *answered* is called unless the daemon dies before."""

        async def asking() -> None:
            answer = await self.engine.ask(make)
            if self.lifeline.alive:
                answered(answer)

        self._loop.create_task(asking(), name="person")

    async def _end(self) -> None:
        await self.runner.drain(self.rules.fencing.over_s(FenceAction.OFF))
        self.engine.stop()
        await asyncio.sleep(0.5)
        self.lifeline.kill()

    def _tell(self, record: Record) -> None:
        self.engine.tell(record)

    def _inbox(self, event: Event) -> None:
        self.engine.put(event)

    def _carry_out(self, act: Act) -> None:
        self.lifeline.effect()
        if not self.lifeline.alive:
            return
        if isinstance(act, RunAgent):
            self._around.witness.acted(act)
        if isinstance(act, AskWitness | CheckAlive | FenceSoftly):
            self.inquirer.carry_out(act)
        else:
            self.runner.carry_out(act)


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in _leaves(one)]
    return [error]


def _words(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else "?"
    return f"{type(error).__name__} in {where}: {error}"
