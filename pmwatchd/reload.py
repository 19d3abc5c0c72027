"""
Reading configuration and inventory again while the daemon runs.

With any fault nothing changes.  A reload never acts on power, so even a bug
in it leaves the watch as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from pmwatchd import config
from pmwatchd.core.events import InventoryLoaded
from pmwatchd.core.orders import Record
from pmwatchd.errors import ConfigError, Fault, PmwatchdError
from pmwatchd.ports import Reloaded

NEEDS_RESTART = (
    "state_dir",
    "api",
    "metrics",
    "log",
    "fencing.agent_dir",
    "kdump.enabled",
    "kdump.listen",
)
"""Parts of the main file that a running daemon does not change."""


class Inventory:
    """
    The configuration that counts now.

    Args:
        apply: Makes a new configuration count; refuses with a ``PmwatchdError``.
        tell: Tells a record.
    """

    def __init__(
        self,
        file: Path,
        configuration: config.Configuration,
        *,
        apply: Callable[[config.Configuration], None],
        tell: Callable[[Record], None],
    ) -> None:
        self._file = file
        self._started_with = configuration.settings
        self._apply = apply
        self._tell = tell
        self._turn = asyncio.Lock()
        self.now = configuration

    def loaded(self) -> InventoryLoaded:
        """Return what the core is told of it."""
        faults = self.now.faults
        refused = f"{len(faults)} faults, the first: {faults[0]}" if faults else ""
        return InventoryLoaded(self.now.hosts, self.now.rules, refused)

    def tell(self) -> None:
        """Tell what was read at start, and what is wrong with it."""
        self._tell(Record(event="inventory.loaded", fields={"hosts": len(self.now.hosts)}))
        self._tell_faults(self.now.faults)
        for warning in self.now.warnings:
            self._tell(Record(event="inventory.warned", fields={"reason": warning}))

    async def reload(self, *, allow_removal: bool) -> Reloaded:
        """Read everything again; with any fault the running inventory is kept."""
        async with self._turn:
            try:
                result = await self._try(allow_removal=allow_removal)
            except Exception as error:  # noqa: BLE001 - see the module's docstring
                self._tell(Record(event="config.reload_failed", fields={"reason": repr(error)}))
                fault = Fault(str(self._file), "reload", f"a bug: {error!r}", "Report it")
                result = Reloaded(faults=(fault,))
        if result.faults:
            self._tell_faults(result.faults)
        else:
            fields = {"added": result.added, "changed": result.changed, "removed": result.removed}
            self._tell(Record(event="config.reloaded", fields=fields))
        return result

    async def _try(self, *, allow_removal: bool) -> Reloaded:
        try:
            new = await asyncio.to_thread(config.load, self._file)
        except ConfigError as error:
            return Reloaded(faults=error.faults)
        if new.faults:
            return Reloaded(faults=new.faults)
        old = self.now
        refusal = None if allow_removal else config.removal_refused(old.hosts, new.hosts)
        if refusal is not None:
            remedy = "Repeat with --allow-removal if that is meant"
            folder = str(new.settings.inventory)
            return Reloaded(faults=(Fault(folder, "hosts", refusal, remedy),))
        try:
            self._apply(new)
        except PmwatchdError as error:  # a capability or a credential that only now is needed
            fault = Fault(str(self._file), "reload", str(error), "Mend it and reload again")
            return Reloaded(faults=(fault,))
        self.now = new
        added, changed, removed = config.compare(old.hosts, new.hosts)
        warnings = (*new.warnings, *self._fixed(new.settings))
        return Reloaded(added=added, changed=changed, removed=removed, warnings=warnings)

    def _fixed(self, settings: config.Settings) -> list[str]:
        """Name what was changed since the start and does not count yet."""
        return [
            f"{part}: changed, and needs a restart of the daemon"
            for part in NEEDS_RESTART
            if _part(settings, part) != _part(self._started_with, part)
        ]

    def _tell_faults(self, faults: tuple[Fault, ...]) -> None:
        for fault in faults:
            fields = {"reason": f"{fault.reason} ({fault.file}: {fault.key}). {fault.remedy}."}
            event = "secret.unreadable" if fault.secret else "inventory.refused"
            self._tell(Record(event=event, host=fault.host, fields=fields))


def _part(settings: config.Settings, name: str) -> object:
    value: object = settings
    for word in name.split("."):
        value = getattr(value, word)
    return value
