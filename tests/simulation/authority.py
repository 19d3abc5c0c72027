"""Persons' words for the whole site: pause, resume, that a storm is none; and that one looked."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from pmwatchd.core.events import (
    AckRequested,
    OverrideEndRequested,
    OverrideRequested,
    PauseRequested,
    ResumeRequested,
)
from pmwatchd.core.model import Alert, HoldName
from pmwatchd.core.orders import Accepted, PowerRead, Refused

if TYPE_CHECKING:
    from tests.simulation.people import People
    from tests.simulation.site import Site

OVERRIDE_S = 600.0


def pause(people: People, for_s: float) -> None:
    """Ask that nobody is fenced for a time."""
    site = people.site
    now, expires_at = site.world.now, site.calendar.wall() + timedelta(seconds=for_s)
    asked = people.number()
    people.pause_asked(now + for_s, expires_at)

    def answered(answer: Accepted | Refused | PowerRead) -> None:
        holds_now = isinstance(answer, Refused) and "it holds now" in answer.reason
        if isinstance(answer, Accepted) or (holds_now and people.paused()):
            people.pause_promised(asked, now + for_s, expires_at)

    people.ask(
        f"pause for {for_s}",
        lambda number: PauseRequested(
            request=number, by="fay", reason="work", for_s=for_s, expires_at=expires_at
        ),
        answered,
    )


def resume(people: People) -> None:
    """Ask to end the pause; from the moment of asking on, nothing is promised."""
    people.pause_ended()
    people.ask("resume", lambda number: ResumeRequested(request=number, by="fay"))


def override(people: People, for_s: float) -> None:
    """Say that a storm is none."""
    expires_at = people.site.calendar.wall() + timedelta(seconds=for_s)
    people.ask(
        f"override storm for {for_s}",
        lambda number: OverrideRequested(
            request=number, by="gus", reason="all dead", for_s=for_s, expires_at=expires_at
        ),
    )


def end_override(people: People) -> None:
    """Take that back."""
    people.ask("override ends", lambda number: OverrideEndRequested(request=number, by="gus"))


def acknowledge(people: People, host: str) -> None:
    """Let a parked host be fenced again."""
    people.site.witness.held.acknowledged(host)  # from the moment of asking on
    people.ask(f"ack {host}", lambda number: AckRequested(request=number, host=host, by="hal"))


def decide(site: Site, rng: Random) -> None:
    """Let a person decide something for the whole site."""
    match rng.randrange(6):
        case 0 | 1:
            pause(site.people, rng.choice([5.0, 30.0, 120.0, 400.0]))
        case 2:
            resume(site.people)
        case 3:
            override(site.people, rng.choice([10.0, 60.0]))
        case 4:
            end_override(site.people)
        case _:
            acknowledge(site.people, rng.choice(sorted(site.layout.hosts)))


def attend(site: Site) -> None:
    """Do what holds and alerts of the whole site ask of a person, when all is mended."""
    assert site.daemon is not None
    fleet, people = site.daemon.fleet, site.people
    if fleet.site().paused is not None:
        resume(people)
    if Alert.STORM in {alert.name for alert in fleet.alerts()}:
        override(people, OVERRIDE_S)
    for view in fleet.hosts():
        holds = {hold.name for hold in view.holds}
        if Alert.PARKED in {alert.name for alert in view.alerts}:
            acknowledge(people, view.host.name)
        alone = HoldName.OBSERVER_ILL in holds and not site.layout.rules.safety.canaries
        if view.operation is None and (alone or people.budget_is_spent(view)):
            people.bring_back(view.host.name)
