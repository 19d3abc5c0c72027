"""
The iron: machines with their feeds and chassis, the devices that switch them, what runs on proxies.

This is the truth that the daemon cannot see directly.  A command on a proxy
lives here, in the world, and goes on whatever becomes of the daemon.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from pmwatchd.core.model import FenceAction, PowerStatus
from pmwatchd.ports import OUTPUT_LIMIT, Completed
from tests.simulation.hardware import Device, Execution, Machine, Switch
from tests.simulation.loop import World
from tests.simulation.outputs import spoil
from tests.simulation.story import Story

LOCK_AFTER = 4
"""Wrong passwords until a device locks the account."""

LOCKED_S = 90.0
SHOWN_MAX = 200
_STATUS = {PowerStatus.ON: b"Status: ON\n", PowerStatus.OFF: b"Status: OFF\n"}
_SUCCESS = {
    FenceAction.ON: b"Success: Powered ON\n",
    FenceAction.OFF: b"Success: Powered OFF\n",
}


class Observer(Protocol):
    """Sees what really happens."""

    def started(self, execution: Execution) -> None:
        """An agent began on a proxy."""
        ...

    def landed(self, execution: Execution) -> None:
        """Its command, or its question, reached the device."""
        ...

    def ended(self, execution: Execution) -> None:
        """It is over, or its proxy is."""
        ...

    def switched(self, switch: Switch, by: Execution | None) -> None:
        """Power came or went."""
        ...


class Iron:
    """All hardware of a site."""

    def __init__(self, world: World, rng: Random, story: Story, observer: Observer) -> None:
        self.world = world
        self.machines: dict[str, Machine] = {}
        self.devices: dict[str, Device] = {}
        self.lost_routes: dict[tuple[str, str], float] = {}
        self.reaches_devices: Callable[[str], bool] = lambda _proxy: True
        self._rng = rng
        self._story = story
        self._observer = observer
        self._running: list[Execution] = []
        self._count = 0

    # executions --------------------------------------------------------------------------

    def start(
        self,
        proxy: str,
        told: dict[str, str],
        *,
        limit_s: float,
        kill_s: float,
        on_end: Callable[[Completed], None],
    ) -> Execution:
        """Begin an agent on a proxy; *on_end* is called unless the proxy dies before."""
        self._count += 1
        port = told.get("ipport") or told.get("udpport") or ""
        execution = Execution(
            number=self._count,
            proxy=proxy,
            device=self.devices[f"{told.get('ip') or told['ipaddr']}:{port}"],
            plug=told.get("plug") or told.get("port") or "",
            action=FenceAction(told["action"]),
            started_at=self.world.now,
            limit_s=limit_s,
            kill_s=kill_s,
            on_end=on_end,
            told=told,
        )
        self._story.note(
            "iron",
            "#{} {} begins {} at {}/{}",
            execution.number,
            proxy,
            execution.action,
            execution.device.address,
            execution.plug,
        )
        self._observer.started(execution)
        execution.device.running.append(execution)
        self._running.append(execution)
        self._plan(execution)
        return execution

    def lose_executions(self, proxy: str) -> None:
        """A machine is gone, and with it what it ran."""
        for execution in [one for one in self._running if one.proxy == proxy]:
            self._story.note("iron", "#{} dies with {}", execution.number, proxy)
            self._finish(execution)

    def _plan(self, execution: Execution) -> None:
        """Decide when it reaches the device and when it ends; its time limit has the last word."""
        rng, moods = self._rng, execution.device.moods
        takes_s = rng.uniform(0.05, 0.6)
        lands_s = takes_s * rng.uniform(0.2, 0.9)
        limit_s, killed_s = execution.limit_s, execution.limit_s + execution.kill_s
        ends_s, code = takes_s, 0
        if "late" in moods:
            takes_s = limit_s * rng.uniform(0.5, 1.3)
            lands_s = takes_s * rng.uniform(0.1, 1.0)
            ends_s, code = min(takes_s, limit_s), 0 if takes_s <= limit_s else 124
        elif "deaf" in moods:
            lands_s = rng.choice([lands_s, rng.uniform(0.0, killed_s), 1e9])
            ends_s, code = killed_s, 137
        elif "hang" in moods:
            lands_s = rng.choice([lands_s, rng.uniform(0.0, limit_s), 1e9])
            ends_s, code = limit_s, 124
        execution.exit_code = code
        if lands_s < ends_s:
            execution.ahead.append(self.world.after(lands_s, lambda: self._land(execution)))
        execution.ahead.append(self.world.after(ends_s, lambda: self._end(execution)))

    def _land(self, execution: Execution) -> None:
        execution.landed = True
        device = execution.device
        route_lost = self.lost_routes.get((execution.proxy, device.address), 0.0) > self.world.now
        cut = route_lost or not self.reaches_devices(execution.proxy)
        if cut or not device.reachable:
            return self._answer(execution, 1, b"", b"Connection timed out")
        if "locked" in device.moods or "password" in device.moods:
            return self._refuse(execution)
        device.wrong = 0
        self._observer.landed(execution)
        switch, action = execution.switch, execution.action
        if action is FenceAction.STATUS:
            execution.read = self._reading(device, switch)
            code = 0 if execution.read is PowerStatus.ON else 2
            return self._answer(execution, code, _STATUS[execution.read], b"")
        wanted = action is FenceAction.ON
        if not wanted and not switch.on and device.refuses_off:
            return self._answer(execution, 1, b"", b"ERROR: Failed: power is off already")
        self._answer(execution, 0, _SUCCESS[action], b"")
        if "stuck" not in device.moods:
            self._command(execution, on=wanted)
        return None

    def _refuse(self, execution: Execution) -> None:
        device = execution.device
        device.wrong += 1
        if device.wrong >= LOCK_AFTER and "locked" not in device.moods:
            self._story.note("iron", "{} locks the account", device.address)
            device.moods.begin("locked")
            self.world.after(LOCKED_S, lambda: device.moods.end("locked"))
        self._answer(execution, 1, b"", b"Unable to authenticate: invalid password")

    def _answer(self, execution: Execution, code: int, stdout: bytes, stderr: bytes) -> None:
        if execution.exit_code == 0:  # a time-out keeps its own code
            execution.exit_code = code
        execution.stdout, execution.stderr = stdout, stderr

    def _reading(self, device: Device, switch: Switch) -> PowerStatus:
        stale = self.world.now < switch.changed_at + device.stale_s
        return PowerStatus.ON if switch.on is not stale else PowerStatus.OFF

    def _command(self, execution: Execution, *, on: bool) -> None:
        """Switch, perhaps later; a newer command at the plug replaces one that is pending."""
        device, plug = execution.device, execution.plug
        if plug in device.pending:
            device.pending.pop(plug).cancel()
        switch = execution.switch

        def happen() -> None:
            device.pending.pop(plug, None)
            self.switch(switch, on=on, by=execution)

        if device.late_s:
            device.pending[plug] = self.world.after(device.late_s, happen)
        else:
            happen()

    def _end(self, execution: Execution) -> None:
        on_end = execution.on_end
        self._finish(execution)
        spoil(execution)
        if self._story.kept:
            code, said = execution.exit_code, _shown(execution)
            self._story.note("iron", "#{} ends: exit {} {}", execution.number, code, said)
        if on_end is not None:
            completed = Completed(
                exit_code=execution.exit_code,
                stdout=execution.stdout[:OUTPUT_LIMIT],
                stderr=execution.stderr[:OUTPUT_LIMIT],
                took_s=self.world.now - execution.started_at,
            )
            on_end(completed)

    def _finish(self, execution: Execution) -> None:
        execution.over = True
        execution.on_end = None
        for appointment in execution.ahead:
            appointment.cancel()
        execution.device.running.remove(execution)
        self._running.remove(execution)
        self._observer.ended(execution)

    # power -------------------------------------------------------------------------------

    def switch(self, switch: Switch, *, on: bool, by: Execution | None = None) -> None:
        """Let power come or go at one switch, and draw the consequences."""
        if switch.on is on:
            return
        machine = switch.machine
        powered = machine.powered
        switch.on = on
        switch.changed_at = self.world.now
        self._story.note("iron", "{} is {}", switch.name, "on" if on else "off")
        self._observer.switched(switch, by)
        if machine.chassis is not None and machine.stays_off and not machine.fed:
            machine.chassis.on = False
        if powered and not machine.powered:
            self._fall(machine, "down")
        elif machine.powered and not powered:
            self.boot(machine)

    def boot(self, machine: Machine) -> None:
        """Begin to boot, for as long as it takes."""
        self._fall(machine, "booting")
        boot_s = machine.boot_s()
        self._story.note("iron", "{} boots ({})", machine.name, boot_s)
        if boot_s is not None:
            machine.booting = self.world.after(boot_s, lambda: self._booted(machine))

    def hang(self, machine: Machine, state: str = "hung") -> None:
        """Its system stands still until power is switched."""
        self._fall(machine, state)

    def wake(self, machine: Machine) -> None:
        """Its system goes on."""
        if machine.powered and machine.state in {"half", "hung"}:
            self._booted(machine)

    def _booted(self, machine: Machine) -> None:
        machine.booting = None
        machine.state = "up"
        machine.turned_at = self.world.now
        self._story.note("iron", "{} is up", machine.name)

    def _fall(self, machine: Machine, state: str) -> None:
        if machine.booting is not None:
            machine.booting.cancel()
            machine.booting = None
        if machine.state == "up" or (machine.state == "half" and machine.lives_by_half):
            machine.turned_at = self.world.now
        machine.state = state
        self._story.note("iron", "{} is {}", machine.name, state)
        self.lose_executions(machine.name)


def _shown(execution: Execution) -> str:
    """Return what an agent printed, for people."""
    said = (execution.stdout + execution.stderr).decode(errors="replace").strip()
    return said if len(said) <= SHOWN_MAX else f"{said[:SHOWN_MAX]} ... ({len(said)} characters)"
