"""Persons who command at random, and what they were promised."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from pmwatchd.core.events import (
    CancelRequested,
    MaintenanceEndRequested,
    MaintenanceRequested,
    PersonEvent,
    PowerRequested,
    StatusRequested,
)
from pmwatchd.core.model import Action, Outcome
from pmwatchd.core.orders import Accepted, PowerRead, Refused
from tests.simulation.daemon import WALL

if TYPE_CHECKING:
    from tests.simulation.site import Site

Answer = Accepted | Refused | PowerRead


class People:
    """
    What persons wanted, by host.

    Attributes:
        wants_off: Their word was *off* or *cancel*: such a host may stay off.
        asked: How often they commanded, by verb.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._kept_until: dict[str, float] = {}
        self._offs: dict[str, str] = {}
        self.wants_off: set[str] = set()

    def maintains(self, host: str) -> bool:
        """Whether a person was promised that this host is left alone, and has not ended it."""
        track = self._site.witness.tracks.get(self._offs.get(host, ""))
        kept_off = track is not None and track.outcome is Outcome.DONE
        return kept_off or self._site.world.now < self._kept_until.get(host, 0.0)

    def power(self, host: str, action: Action) -> None:
        """Ask for a power action."""
        if action is not Action.OFF:
            self._released(host)

        def answered(answer: Answer) -> None:
            if not isinstance(answer, Accepted):
                return
            if action is not Action.OFF:
                self.wants_off.discard(host)
                return
            self.wants_off.add(host)
            self._offs[host] = answer.operation or ""

        self._ask(
            f"power {action} {host}",
            lambda number: PowerRequested(request=number, host=host, action=action, by="ann"),
            answered,
        )

    def cancel(self, host: str) -> None:
        """Ask to end a backoff or the pursuit of *on*."""

        def answered(answer: Answer) -> None:
            if isinstance(answer, Accepted):
                if answer.operation is not None:
                    self.wants_off.add(host)
                self._site.witness.life.failed_at.pop(host, None)

        self._ask(
            f"power cancel {host}",
            lambda number: CancelRequested(request=number, host=host, by="bob"),
            answered,
        )

    def maintain(self, host: str, for_s: float | None) -> None:
        """Ask for maintenance."""
        now = self._site.world.now
        until_at = None if for_s is None else WALL + timedelta(seconds=now + for_s)

        def answered(answer: Answer) -> None:
            if isinstance(answer, Accepted):
                self._kept_until[host] = now + (1e9 if for_s is None else for_s)

        self._ask(
            f"maintenance {host} for {for_s}",
            lambda number: MaintenanceRequested(
                request=number,
                host=host,
                by="cid",
                reason="work",
                for_s=for_s,
                expires_at=until_at,
            ),
            answered,
        )

    def release(self, host: str) -> None:
        """Ask to end a maintenance."""
        self._released(host)
        self._ask(
            f"maintenance end {host}",
            lambda number: MaintenanceEndRequested(request=number, host=host, by="cid"),
            lambda _answer: None,
        )

    def status(self, host: str) -> None:
        """Ask what the switches read."""
        self._ask(
            f"power status {host}",
            lambda number: StatusRequested(request=number, host=host, by="dan"),
            lambda _answer: None,
        )

    def _released(self, host: str) -> None:
        """From the moment of asking on, nothing is promised any more."""
        self._kept_until.pop(host, None)
        self._offs.pop(host, None)

    def _ask(
        self,
        words: str,
        make: Callable[[int], PersonEvent],
        answered: Callable[[Answer], None],
    ) -> None:
        site = self._site
        site.story.note("person", "{}", words)
        if site.daemon is None:
            return

        def heard(answer: Answer) -> None:
            site.story.note("person", "{}: {}", words, answer)
            answered(answer)

        site.daemon.ask(make, heard)


def command(site: Site, rng: Random) -> None:
    """Let a person do something."""
    host = rng.choice(sorted(site.layout.hosts))
    people = site.people
    match rng.randrange(8):
        case 0:
            people.power(host, Action.OFF)
        case 1:
            people.power(host, Action.ON)
        case 2:
            people.power(host, Action.RESTART)
        case 3:
            people.cancel(host)
        case 4:
            people.maintain(host, rng.choice([None, 60.0, 200.0]))
        case 5:
            people.release(host)
        case _:
            people.status(host)
