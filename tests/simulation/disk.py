"""
The disk under the journal, and the journal of one daemon's life.

Only what was committed survives a kill.  The rows go through the same
conversion as in SQLite, so what cannot be written as JSON fails here too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from pmwatchd.core.orders import SaveHost, SaveOperation, SaveSite, Told
from pmwatchd.errors import JournalUnwritableError
from pmwatchd.ports import Entry, Remembered, Row
from tests.simulation.lifeline import Lifeline
from tests.simulation.moods import Moods
from tests.simulation.story import Story


class Disk:
    """
    What is durable.

    Attributes:
        intents: Commands that were announced, by operation and turn.
        behind: The last commit failed, so the daemon knows more than the disk.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.sequence = 0
        self.hosts: dict[str, SaveHost] = {}
        self.site = SaveSite()
        self.open: dict[str, SaveOperation] = {}
        self.closed: dict[str, SaveOperation] = {}
        self.intents: set[tuple[str, int]] = set()
        self.behind = False
        self.moods = Moods()
        self.slow_s: Callable[[], float] = lambda: 0.0

    def begin(self) -> Remembered:
        """Open it for one more daemon."""
        self.epoch += 1
        return Remembered(
            epoch=self.epoch,
            sequence=self.sequence,
            hosts=dict(self.hosts),
            operations=tuple(self.open.values()),
            site=self.site,
        )

    def keep(self, entries: Sequence[Entry]) -> None:
        """Make entries durable, all of them at once."""
        for entry in entries:
            match entry.order:
                case SaveHost() as host:
                    self.hosts[host.host] = host
                case SaveSite() as site:
                    self.site = site
                case SaveOperation() as operation:
                    self._keep_operation(operation)
                case Told(sequence=int(sequence), record=record):
                    if sequence <= self.sequence:
                        raise RuntimeError(f"record {sequence} is there already")
                    self.sequence = sequence
                    if record.event == "fence.intended":
                        self.intents.add((record.operation or "", int(str(record.fields["turn"]))))
                case _:
                    pass

    def _keep_operation(self, operation: SaveOperation) -> None:
        document = json.loads(json.dumps(dict(operation.document), allow_nan=False))
        saved = replace(operation, document=document)
        if operation.outcome is None:
            if operation.id in self.closed:
                raise RuntimeError(f"operation {operation.id} is opened again")
            self.open[operation.id] = saved
        else:
            self.open.pop(operation.id, None)
            self.closed[operation.id] = saved


class Journal:
    """:class:`pmwatchd.ports.Journal` of one daemon's life; only ``commit`` is ever asked."""

    def __init__(self, disk: Disk, life: Lifeline, story: Story) -> None:
        self._disk = disk
        self._life = life
        self._story = story

    async def commit(self, entries: Sequence[Entry]) -> None:
        """
        Make all entries durable, or none.

        Raises:
            JournalUnwritableError: The disk is in a bad mood.
        """
        self._life.effect()
        await self._life.pulse()
        slow_s = self._disk.slow_s()
        if slow_s:
            await self._life.sleep(slow_s)
        if "fails" in self._disk.moods:
            self._disk.behind = True
            self._story.note("disk", "fails")
            raise JournalUnwritableError("no space left on device")
        self._disk.keep(entries)
        self._disk.behind = False
        self._life.effect()
        await self._life.pulse()

    async def records(
        self,
        *,
        after: int = 0,
        host: str | None = None,
        operation: str | None = None,
        since: datetime | None = None,
        limit: int = 1000,
    ) -> list[Row]:
        """Nobody asks for records here."""
        raise NotImplementedError

    async def operations(
        self,
        *,
        host: str | None = None,
        since: datetime | None = None,
        operation: str | None = None,
        limit: int = 100,
    ) -> list[Row]:
        """Nobody asks for operations here."""
        raise NotImplementedError
