"""
Asking others about one silent host: whom, when, and what follows.

Witnesses are hosts that serve as proxies, spread over clusters, and machines
that the host's own preferences name.  The daemon's own place is no other one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from pmwatchd.core import opinion, upkeep
from pmwatchd.core.events import AliveChecked, WitnessSaid
from pmwatchd.core.holds import Verdict
from pmwatchd.core.machine import Machine
from pmwatchd.core.model import Alert, Candidate, FenceAgent, HoldName, Host, Opinion, ProxySource
from pmwatchd.core.opinion import Word
from pmwatchd.core.orders import AskWitness, CheckAlive
from pmwatchd.core.site import Site

SOME_MAX = 200
"""
Of so many hosts the witnesses of one round are chosen.

To sort a whole fleet for each silent host would hold the loop for longer than a heartbeat may take.
"""

MUTE_S = 300.0
"""A machine that could not be asked is asked last for so long."""


def ask(site: Site, machine: Machine, now: float) -> None:
    """Begin another round of questions, if one may begin and anybody can be asked."""
    if not opinion.due(machine.inquiry, now):
        return
    witnesses = _witnesses(site, machine, site.rules.safety.witnesses, now)
    check = machine.host.alive_check
    machine.inquiry = opinion.begin(
        machine.inquiry, [one.name for one in witnesses], now, check=check is not None
    )
    number = machine.inquiry.number
    for witness in witnesses:
        site.orders.append(AskWitness(host=machine.host, question=number, witness=witness))
    if check is not None:
        chain = _turned(site, machine, now) if check.through_proxy else ()
        site.orders.append(CheckAlive(host=machine.host, question=number, chain=tuple(chain)))


def unsure(machine: Machine, at: float) -> bool:
    """Whether what others say is not known, or was too old to act upon at an instant."""
    return opinion.stale(machine.inquiry, at)


def verdicts(site: Site, machine: Machine, now: float) -> tuple[Verdict, ...]:
    """Return the holds that follow from what others say, and raise or clear what that means."""
    found = tuple(opinion.verdicts(machine.inquiry, machine.host.alive_check, now))
    cut_off = [verdict for verdict in found if verdict.name is HoldName.SEEN_BY_OTHERS]
    if cut_off:
        upkeep.alert(site, machine, Alert.PARTITIONED, cut_off[0].reason, now)
    else:
        fade(site, machine, now)
    return found


def fade(site: Site, machine: Machine, now: float) -> None:
    """Call a host partitioned no longer than somebody reaches it, asked or not."""
    if not machine.inquiry.pending and not opinion.seen_by(machine.inquiry, now):
        upkeep.clear(site, machine, Alert.PARTITIONED)


def witnessed(site: Site, machine: Machine, event: WitnessSaid, now: float) -> None:
    """Take in what a witness said."""
    if event.opinion is Opinion.NONE:
        site.mute[event.witness] = now
    else:
        site.mute.pop(event.witness, None)
    site.observer.tried(event.witness, now, reached=event.opinion is not Opinion.NONE)
    before = machine.inquiry
    word = Word(event.opinion, event.reason, now)
    machine.inquiry = opinion.heard(before, event.question, event.witness, word)
    if machine.inquiry is not before:
        if event.opinion is Opinion.NONE and now < before.asked_at + opinion.ROUND_S:
            _ask_another(site, machine, now)
        site.tell(
            "witness.said",
            machine,
            proxy=event.witness,
            result=event.opinion,
            reason=event.reason,
        )


def _ask_another(site: Site, machine: Machine, now: float) -> None:
    """Who cannot be asked does not take the place of one that can."""
    for witness in _witnesses(site, machine, 1, now, without=machine.inquiry.asked):
        if not _is_mute(site, witness, now):
            machine.inquiry = opinion.in_place(machine.inquiry, witness.name)
            question = machine.inquiry.number
            site.orders.append(AskWitness(host=machine.host, question=question, witness=witness))


def checked(site: Site, machine: Machine, event: AliveChecked, now: float) -> None:
    """Take in what the site's own command said."""
    before = machine.inquiry
    word = Word(event.opinion, event.reason, now)
    machine.inquiry = opinion.checked(before, event.question, word)
    if machine.inquiry is not before:
        site.tell("alive.checked", machine, result=event.opinion, reason=event.reason)


def _witnesses(
    site: Site, machine: Machine, wanted: int, now: float, *, without: Collection[str] = ()
) -> list[Candidate]:
    """
    Choose witnesses: who reached it lately, then others each round, spread over clusters.

    Who could not be asked lately is asked last: a place that says nothing is wasted.
    """
    found = [one for one in _turned(site, machine, now) if one.name not in without]
    reached = opinion.seen_by(machine.inquiry, now)
    chosen = [one for one in found if one.name in reached][:wanted]
    taken = Counter(_cluster(site, one) for one in chosen)
    found = [one for one in found if one not in chosen]
    while found and len(chosen) < wanted:
        best = min(found, key=lambda one: (_is_mute(site, one, now), taken[_cluster(site, one)]))
        found.remove(best)
        taken[_cluster(site, best)] += 1
        chosen.append(best)
    return chosen


def _turned(site: Site, machine: Machine, now: float) -> list[Candidate]:
    """Everybody that may be asked, another one first in each round."""
    found = [*_serving(site, machine, now)]
    first = machine.inquiry.number % max(1, len(found))
    return found[first:] + found[:first]


def _is_mute(site: Site, candidate: Candidate, now: float) -> bool:
    return now - site.mute.get(candidate.name, -math.inf) < MUTE_S


def _cluster(site: Site, candidate: Candidate) -> str:
    host = site.hosts.get(candidate.name)
    return host.cluster if host is not None else ""


def _some(site: Site, machine: Machine, now: float) -> Mapping[str, Host]:
    """Return the hosts that may be asked in this round: others in the next."""
    if len(site.serving) <= SOME_MAX:
        return site.serving
    first = machine.inquiry.number * SOME_MAX % len(site.serving)
    names = [*site.serving][first : first + SOME_MAX]
    names += [name for name in opinion.seen_by(machine.inquiry, now) if name in site.serving]
    return {name: site.serving[name] for name in names}


def _serving(site: Site, machine: Machine, now: float) -> Iterator[Candidate]:
    """Yield every machine but this one that may be asked, the nearest first, each once."""
    anywhere = ("cluster", "dc", "other_dc")
    named = tuple(word for word in machine.host.power_management.proxies if word not in anywhere)
    anyone = FenceAgent(name="", type="", address="", proxies=named + anywhere)
    for candidate in site.chain(anyone, machine.host, now, among=_some(site, machine, now)):
        if candidate.source is not ProxySource.ENGINE:
            yield candidate
