"""What happened, line by line, for people; costs nothing while nobody reads it."""

from __future__ import annotations

from pmwatchd.core.orders import Told
from pmwatchd.observe import messages
from tests.simulation.loop import World


class Story:
    """Lines of one run; only kept when *kept*."""

    def __init__(self, world: World, *, kept: bool) -> None:
        self._world = world
        self.kept = kept
        self.lines: list[str] = []

    def note(self, who: str, template: str, *values: object) -> None:
        """Keep a line; *template* takes the values in ``{}``."""
        if self.kept:
            self.lines.append(f"{self._world.now:9.2f}  {who:<7} {template.format(*values)}")

    def tell(self, told: Told) -> None:
        """Keep what the daemon tells; a teller of the engine."""
        if self.kept:
            record = told.record
            fields = {"host": record.host, "operation": record.operation, **record.fields}
            about = {name: value for name, value in fields.items() if value is not None}
            sentence = messages.message_of(record.event).render(about)
            self.note("daemon", "{}  [{}]", sentence, record.event)
