"""
Many hosts silent at once: a network fault, or so many dead machines?

The census counts, by domain (the fleet, a cluster, a label), who is watched
and who is silent.  It is told only of changes, so a healthy host costs
nothing, and only domains with silent hosts are looked at when it is asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pmwatchd.core.model import Host
from pmwatchd.core.rules import DomainRule, StormRules

FLEET = "fleet"
CLUSTER = "cluster"
LABEL = "label:"


class Standing(StrEnum):
    """How a host counts."""

    NOT = "not"  # in neither part of the fraction
    ANSWERING = "answering"
    SILENT = "silent"


@dataclass(frozen=True, slots=True, order=True)
class Domain:
    """Hosts that share something that may fail."""

    by: str
    value: str = ""

    def __str__(self) -> str:
        """As in *the fleet*, *cluster blue*, *rack r12*."""
        return "the fleet" if self.by == FLEET else f"{self.by.removeprefix(LABEL)} {self.value}"


def domain(by: str, host: Host) -> Domain | None:
    """Return the domain of a host: the fleet, its cluster, or the value of one of its labels."""
    if by == FLEET:
        return Domain(FLEET)
    value = host.cluster if by == CLUSTER else host.labels.get(by.removeprefix(LABEL), "")
    return Domain(by, value) if value else None


@dataclass(frozen=True, slots=True)
class Storm:
    """A domain that is in a storm, and why in words; *until_at* where time alone ends it."""

    domain: Domain
    reason: str
    until_at: float | None = None


@dataclass(slots=True)
class _Count:
    """Who counts in a domain; *silent* holds when each fell silent."""

    counted: set[str] = field(default_factory=set)
    silent: dict[str, float] = field(default_factory=dict)
    over_at: float = -math.inf


@dataclass(slots=True)
class _Entry:
    host: Host
    standing: Standing
    since_at: float


class Census:
    """Who is silent, by domain; fed with changes."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._counts: dict[Domain, _Count] = {}
        self._parted: tuple[DomainRule, ...] = ()
        self._troubled: set[Domain] = set()

    def note(self, host: Host, standing: Standing, now: float) -> None:
        """Take in how a host counts from now on."""
        known = self._entries.get(host.name)
        if known is not None and known.standing is standing and known.host is host:
            return
        since_at = now
        if known is not None:
            if known.standing is standing:
                since_at = known.since_at
            self._take_out(known)
        entry = self._entries[host.name] = _Entry(host, standing, since_at)
        self._put_in(entry)

    def forget(self, name: str) -> None:
        """Leave out a host that is not watched any more."""
        if (known := self._entries.pop(name, None)) is not None:
            self._take_out(known)

    def part(self, rules: Sequence[DomainRule]) -> None:
        """Count by these domains from now on."""
        if tuple(rules) == self._parted:
            return
        self._parted = tuple(rules)
        kept = {rule.by for rule in rules}
        self._counts = {
            domain: _Count(over_at=count.over_at)  # a cooldown goes on
            for domain, count in self._counts.items()
            if domain.by in kept
        }
        self._troubled = set(self._counts)
        for entry in self._entries.values():
            self._put_in(entry)

    def domains(self, host: Host) -> Iterator[Domain]:
        """Return the domains of a host."""
        return (found for rule in self._parted if (found := domain(rule.by, host)) is not None)

    def storms(self, rules: StormRules, now: float) -> dict[Domain, Storm]:
        """Judge every domain that has silent hosts, or had them a short while ago."""
        self.part(rules.domains)
        if not self._troubled:
            return {}
        thresholds = {rule.by: rule.threshold_percent for rule in rules.domains}
        found = {}
        for domain in sorted(self._troubled):
            count = self._counts[domain]
            storm = _judge(domain, count, rules, thresholds[domain.by], now)
            if storm is not None:
                found[domain] = storm
            elif not count.silent:
                self._troubled.discard(domain)
        return found

    @property
    def troubled(self) -> bool:
        """Whether any domain has silent hosts, or had them a short while ago."""
        return bool(self._troubled)

    def shares(self) -> Mapping[Domain, tuple[int, int]]:
        """Return how many are silent and how many count, by domain."""
        return {
            domain: (len(count.silent), len(count.counted))
            for domain, count in self._counts.items()
        }

    def _put_in(self, entry: _Entry) -> None:
        if entry.standing is Standing.NOT:
            return
        for domain in self.domains(entry.host):
            count = self._counts.setdefault(domain, _Count())
            count.counted.add(entry.host.name)
            if entry.standing is Standing.SILENT:
                count.silent[entry.host.name] = entry.since_at
                self._troubled.add(domain)

    def _take_out(self, entry: _Entry) -> None:
        for domain in self.domains(entry.host):
            if (count := self._counts.get(domain)) is not None:
                count.counted.discard(entry.host.name)
                count.silent.pop(entry.host.name, None)


def _judge(
    domain: Domain, count: _Count, rules: StormRules, threshold_percent: float, now: float
) -> Storm | None:
    silent, counted = len(count.silent), len(count.counted)
    if counted >= rules.min_hosts:
        guess = f"looks like a fault of the network of {domain}, not like {silent} dead hosts"
        percent = 100 * silent / counted
        if percent > threshold_percent:
            count.over_at = now
            share = f"{percent:.0f} %, over {threshold_percent:g} %"
            return Storm(
                domain, f"{silent} of {counted} hosts of {domain} silent ({share}): {guess}"
            )
        newly = sum(at >= now - rules.burst.within_s for at in count.silent.values())
        if newly > rules.burst.hosts and 100 * newly / counted > rules.burst.percent:
            count.over_at = now
            within = f"within {rules.burst.within_s:g} s"
            return Storm(
                domain, f"{newly} of {counted} hosts of {domain} fell silent {within}: {guess}"
            )
    until_at = count.over_at + rules.cooldown_s
    if now < until_at:
        left_s = until_at - now
        reason = f"so many hosts of {domain} were silent that it waits {left_s:.0f} s more"
        return Storm(domain, reason, until_at)
    return None
