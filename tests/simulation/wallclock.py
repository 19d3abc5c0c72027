"""The wall clock, which somebody may set; it decides nothing but the end of a maintenance."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.simulation.loop import World

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Calendar:
    """
    Wall-clock time over the time of a world.

    Attributes:
        wrong: By how much it was set wrong.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.wrong = timedelta()

    def wall(self) -> datetime:
        """Wall-clock time, UTC."""
        return BEGAN + timedelta(seconds=self._world.now) + self.wrong
