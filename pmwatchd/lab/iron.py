"""
The iron of the simulated site: machines, the switches that feed them, and an honest record.

Only this part of the lab is imitated.  Nothing here knows the daemon; every
command that reaches a switch and every change of its power is written down,
and the scenarios are judged by that record alone.

::

    running --hang---> hung -----power lost--> dark --power back--> booting --> running
    running --crash--> dumping --power lost--> dark
                       dumping --dump is written--------------------> booting
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

Tell = Callable[[str, str, str], None]
"""Called with an event's name, a host and a sentence for people."""


class MachineState(StrEnum):
    """What a machine is doing; only a running one answers."""

    RUNNING = "running"
    HUNG = "hung"
    DUMPING = "dumping"
    DARK = "dark"
    BOOTING = "booting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """
    One command that a switch accepted.

    Attributes:
        at: Seconds on the loop's clock.
        by: Who logged in, and from which machine.
    """

    at: float
    host: str
    switch: str
    action: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """The moment a switch really changed, some time after the command for it."""

    at: float
    host: str
    switch: str
    is_on: bool


@dataclass(slots=True)
class Record:
    """Everything that happened to the iron, in order."""

    commands: list[Command] = field(default_factory=list)
    flips: list[Flip] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """Shortest and longest time that the iron takes, in seconds."""

    off_s: tuple[float, float] = (0.3, 1.0)
    on_s: tuple[float, float] = (0.2, 0.4)
    boot_s: tuple[float, float] = (1.0, 2.0)
    dump_s: tuple[float, float] = (6.0, 6.5)
    reboot_s: tuple[float, float] = (4.5, 5.0)  # by itself, so through the whole firmware


class Switch:
    """A chassis or an outlet; it reads its old state until it has really switched."""

    def __init__(self, iron: Iron, name: str, machine: Machine, *, is_feed: bool) -> None:
        self.name = name
        self.machine = machine
        self.is_feed = is_feed
        self.is_on = True
        self._iron = iron

    def command(self, action: str, by: str) -> None:
        """
        Accept ``status``, ``off`` or ``on``.

        A command never overtakes or cancels another: a late ``off`` lands
        after an early ``on``, as it would in a careless BMC.
        """
        iron = self._iron
        host = self.machine.name
        iron.record.commands.append(
            Command(at=iron.now(), host=host, switch=self.name, action=action, by=by)
        )
        if action == "status":
            return
        iron.tell("iron.accepted", host, f"{self.name} accepts '{action}' from {by}")
        delay = iron.delays.on_s if action == "on" else iron.delays.off_s
        iron.later(delay, lambda: self._flip(is_on=action == "on"))

    def _flip(self, *, is_on: bool) -> None:
        if self.is_on == is_on:
            return
        self.is_on = is_on
        iron = self._iron
        host = self.machine.name
        iron.record.flips.append(
            Flip(at=iron.now(), host=host, switch=self.name, is_on=is_on),
        )
        word = "on" if is_on else "off"
        iron.tell(f"iron.switched_{word}", host, f"{self.name} is really {word} now")
        self.machine.power_changed()


class Machine:
    """A host: it answers while it runs, and forgets a hang when its power is cut."""

    def __init__(self, iron: Iron, name: str) -> None:
        self.name = name
        self.switches: list[Switch] = []
        self.state = MachineState.RUNNING
        self.changed: Callable[[Machine], None] = lambda _machine: None
        self._iron = iron
        self._boots = 0

    @property
    def powered(self) -> bool:
        """Every chassis switch is on, and at least one feed where there are any."""
        feeds = [switch.is_on for switch in self.switches if switch.is_feed]
        chassis = [switch.is_on for switch in self.switches if not switch.is_feed]
        return all(chassis) and (any(feeds) or not feeds)

    def hang(self) -> None:
        """Stop answering while the power stays on, as after a kernel panic."""
        if self.state is MachineState.RUNNING:
            self._enter(MachineState.HUNG, "hangs: its power is on, but nobody answers")

    def crash(self) -> None:
        """Stop answering, write a crash dump, and boot by itself when it is written."""
        if self.state is MachineState.RUNNING:
            self._enter(MachineState.DUMPING, "crashes: its kernel writes a dump")
            self._iron.later(self._iron.delays.dump_s, self._dumped)

    def start(self) -> None:
        """What a person does at the machine: press its button until it boots."""
        for switch in self.switches:
            switch.is_on = True
        if self.state is not MachineState.RUNNING:
            self._boot(self._iron.delays.boot_s)

    def power_changed(self) -> None:
        """Follow the switches: go dark at once, or begin to boot."""
        if not self.powered:
            if self.state is not MachineState.DARK:
                self._enter(MachineState.DARK, "is dark")
        elif self.state is MachineState.DARK:
            self._boot(self._iron.delays.boot_s)

    def _dumped(self) -> None:
        # Whoever cut its power in between has lost the dump.
        if self.state is MachineState.DUMPING:
            self._boot(self._iron.delays.reboot_s)

    def _boot(self, takes_s: tuple[float, float]) -> None:
        self._boots += 1
        boot = self._boots
        self._enter(MachineState.BOOTING, "boots")
        self._iron.later(takes_s, lambda: self._booted(boot))

    def _booted(self, boot: int) -> None:
        # A power cut in between has started another boot, or none.
        if self.state is MachineState.BOOTING and boot == self._boots:
            self._enter(MachineState.RUNNING, "is up and answers again")

    def _enter(self, state: MachineState, words: str) -> None:
        self.state = state
        self._iron.tell(f"iron.{state}", self.name, f"{self.name} {words}")
        self.changed(self)


class Iron:
    """All machines and switches of a site on one clock; needs a running event loop."""

    def __init__(self, tell: Tell, delays: Delays | None = None, seed: int = 0) -> None:
        self.tell = tell
        self.delays = delays or Delays()
        self.record = Record()
        self.machines: dict[str, Machine] = {}
        self._loop = asyncio.get_running_loop()
        self._random = random.Random(seed)  # noqa: S311 - how slow a switch is, no secret
        self._timers: set[asyncio.TimerHandle] = set()

    def now(self) -> float:
        """Seconds on the loop's clock."""
        return self._loop.time()

    def machine(self, name: str) -> Machine:
        """Build a machine that runs and is fed by nothing switchable yet."""
        machine = self.machines[name] = Machine(self, name)
        return machine

    def switch(self, machine: Machine, name: str, *, is_feed: bool) -> Switch:
        """Put a switch, which is on, between the mains and *machine*."""
        switch = Switch(self, name, machine, is_feed=is_feed)
        machine.switches.append(switch)
        return switch

    def later(self, between_s: tuple[float, float], act: Callable[[], None]) -> None:
        """Let *act* happen after a random time between two limits."""

        def run() -> None:
            self._timers.discard(handle)
            act()

        handle = self._loop.call_later(self._random.uniform(*between_s), run)
        self._timers.add(handle)

    def close(self) -> None:
        """Stop the clockwork: nothing switches or boots any more."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
