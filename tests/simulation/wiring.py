"""Which outlet really feeds what: as the inventory says, or not."""

from __future__ import annotations

from random import Random

from tests.simulation.hardware import Device, Machine, Switch
from tests.simulation.iron import Iron


class Wiring:
    """
    The cables of a site; somebody may plug them in wrongly, and later rightly again.

    A plug that was meant for a host then switches another host, or a spare
    machine that nobody watches.  As after any work on cables, power is on at
    every outlet that was touched when the mending is done.
    """

    def __init__(self, iron: Iron) -> None:
        self._iron = iron
        self._right = {name: dict(device.plugs) for name, device in iron.devices.items()}

    def spoil(self, rng: Random) -> tuple[str, str]:
        """Plug something in wrongly; return what, in words, and whose switch that was."""
        device = self._used(rng)
        plugs = sorted(device.plugs)
        self._touch(device)
        if len(plugs) > 1 and rng.random() < 0.6:
            one, other = rng.sample(plugs, 2)
            device.plugs[one], device.plugs[other] = device.plugs[other], device.plugs[one]
            return f"{device.address} {one} and {other} are swapped", one
        plug = rng.choice(plugs)
        switch = self._right[device.address][plug]
        device.plugs[plug] = Switch(f"spare/instead-of-{switch.name}", Machine("spare"))
        return f"{device.address} {plug} switches a spare machine", switch.machine.name

    def darken(self, rng: Random) -> tuple[str, str]:
        """Let a plug switch a spare machine that is off; return what, and whose switch that was."""
        device = self._used(rng)
        plug = rng.choice(sorted(device.plugs))
        self._touch(device)
        switch = self._right[device.address][plug]
        dark = Switch(f"spare/dark-instead-of-{switch.name}", Machine("spare"), on=False)
        device.plugs[plug] = dark
        return f"{device.address} {plug} switches a spare machine that is off", switch.machine.name

    def _used(self, rng: Random) -> Device:
        used = [name for name, plugs in sorted(self._right.items()) if plugs]
        return self._iron.devices[rng.choice(used)]

    def mend(self) -> None:
        """Plug everything in as the inventory says."""
        for name, right in self._right.items():
            device = self._iron.devices[name]
            wrong = {plug: switch for plug, switch in device.plugs.items() if switch != right[plug]}
            if not wrong:
                continue
            self._touch(device)
            device.plugs.update({plug: right[plug] for plug in wrong})
            for plug, switch in wrong.items():
                self._iron.switch(switch, on=True)
                self._iron.switch(right[plug], on=True)

    def _touch(self, device: Device) -> None:
        """Nothing that was under way at a device survives that."""
        device.rewired_at = self._iron.world.now
        device.forget()
