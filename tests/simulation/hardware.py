"""What the iron consists of: switches, machines, devices, and what runs on proxies."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from pmwatchd.core.model import FenceAction, PowerStatus
from pmwatchd.ports import Completed
from tests.simulation.loop import Appointment
from tests.simulation.moods import Moods


@dataclass(slots=True, eq=False)
class Switch:
    """One thing that carries current or does not: an outlet, or the power of a chassis."""

    name: str
    machine: Machine
    on: bool = True
    changed_at: float = -1e9

    @property
    def power(self) -> PowerStatus:
        """The truth."""
        return PowerStatus.ON if self.on else PowerStatus.OFF


@dataclass(slots=True, eq=False)
class Machine:
    """
    The hardware of one host and the system that runs on it.

    Attributes:
        state: ``up``, ``half`` (a kernel that hangs by half: it accepts connections, and nobody
            speaks there), ``hung``, ``dumping``, ``booting`` or ``down``.
        turned_at: When it last came up, or ceased to be up.
        boot_s: How long it boots; None: it never comes up.
        stays_off: Its chassis stays off when the feeds come back.
        lives_by_half: By its configuration weak signs of life are enough.
    """

    name: str
    chassis: Switch | None = None
    feeds: list[Switch] = field(default_factory=list)
    state: str = "up"
    turned_at: float = -1e9
    boot_s: Callable[[], float | None] = lambda: 5.0
    booting: Appointment | None = None
    stays_off: bool = False
    lives_by_half: bool = True
    moods: Moods = field(default_factory=Moods)

    @property
    def fed(self) -> bool:
        """Whether any feed has power."""
        return not self.feeds or any(feed.on for feed in self.feeds)

    @property
    def powered(self) -> bool:
        """Whether it can run anything at all."""
        return self.fed and (self.chassis is None or self.chassis.on)

    def hangs_on(self, switches: Collection[Switch]) -> bool:
        """Whether these switches together take its power; an inventory may name too few."""
        fed_by = bool(self.feeds) and all(feed in switches for feed in self.feeds)
        return fed_by or self.chassis in switches

    @property
    def answers(self) -> bool:
        """Whether its system is alive."""
        return self.powered and self.state == "up"

    @property
    def half(self) -> bool:
        """Whether it gives only weak signs of life."""
        return self.powered and self.state == "half"


@dataclass(slots=True, eq=False)
class Device:
    """
    A BMC or a PDU.

    Attributes:
        late_s: It switches so long after it took a command.
        stale_s: It reports the old state for so long after it switched.
        refuses_off: *off* is an error where it is off already.
        host: A BMC dies with the feeds of this machine.
        dark: It cannot be reached while its machine has no power.
        wrong: Wrong passwords in a row.
        rewired_at: When a cable at it was last plugged in elsewhere.
    """

    address: str
    plugs: dict[str, Switch] = field(default_factory=dict)
    late_s: float = 0.0
    stale_s: float = 0.0
    refuses_off: bool = False
    host: Machine | None = None
    dark: bool = False
    moods: Moods = field(default_factory=Moods)
    wrong: int = 0
    rewired_at: float = -1e9
    running: list[Execution] = field(default_factory=list)
    pending: dict[str, Appointment] = field(default_factory=dict)

    @property
    def reachable(self) -> bool:
        """Whether anybody can talk to it."""
        if "unreachable" in self.moods:
            return False
        if self.host is None:
            return True
        return self.host.powered if self.dark else self.host.fed

    def forget(self) -> None:
        """Drop the commands that it took and has not carried out yet."""
        for appointment in self.pending.values():
            appointment.cancel()
        self.pending.clear()


@dataclass(slots=True, eq=False)
class Execution:
    """
    One agent at work on one proxy.

    Attributes:
        told: What it was given on stdin.
    """

    number: int
    proxy: str
    device: Device
    plug: str
    action: FenceAction
    started_at: float
    limit_s: float
    kill_s: float
    on_end: Callable[[Completed], None] | None
    told: dict[str, str]
    exit_code: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    read: PowerStatus = PowerStatus.UNKNOWN
    landed: bool = False
    over: bool = False
    ahead: list[Appointment] = field(default_factory=list)

    @property
    def place(self) -> tuple[str, str]:
        """Where it acts."""
        return self.device.address, self.plug

    @property
    def switch(self) -> Switch:
        """What it really is about."""
        return self.device.plugs[self.plug]
