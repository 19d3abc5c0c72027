"""
Is there a storm?  Counted anew from what the daemon was told, by the words of the rule.

Only what lasted for several passes is held against the daemon: it looks at
the whole site once a pass.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from pmwatchd.core.model import Host
from pmwatchd.core.rules import StormRules

PASSES = 3
MARGIN_S = 2.5
"""The daemon counts its times from a pass; it may be so much ahead."""


class Storms:
    """Counts, pass by pass, who is silent in which domain."""

    def __init__(self, rules: StormRules) -> None:
        self._rules = rules
        self._silent_at: dict[str, float] = {}
        self._domains: dict[str, tuple[Host | None, tuple[str, ...]]] = {}
        self._lasting: defaultdict[str, int] = defaultdict(int)
        self._over_at: defaultdict[str, float] = defaultdict(lambda: -math.inf)

    def count(self, standing: Mapping[str, tuple[Host, bool]], now: float) -> None:
        """
        See how everybody stands when a pass ends.

        Args:
            standing: All hosts that count, and whether they are silent.
        """
        silent = [name for name, (_, is_silent) in standing.items() if is_silent]
        self._silent_at = {name: self._silent_at.get(name, now) for name in silent}
        if not silent:
            self._lasting.clear()
            return
        counted: defaultdict[str, int] = defaultdict(int)
        silent_at: defaultdict[str, list[float]] = defaultdict(list)
        for name, (host, is_silent) in standing.items():
            for domain in self._domains_of(host):
                counted[domain] += 1
                if is_silent:
                    silent_at[domain].append(self._silent_at[name])
        over = {
            domain
            for domain, at in silent_at.items()
            if self._is_over(domain, counted[domain], at, now)
        }
        for domain in [domain for domain in self._lasting if domain not in over]:
            del self._lasting[domain]
        for domain in over:
            self._lasting[domain] += 1
            if self._lasting[domain] >= PASSES:
                self._over_at[domain] = now

    def of(self, host: Host, now: float) -> str:
        """Return the domain of a host that is in a storm, or ""."""
        for domain in self._domains_of(host):
            if self._lasting.get(domain, 0) >= PASSES:
                return f"storm in {domain}"
            since_s = now - self._over_at[domain]
            if since_s < self._rules.cooldown_s - MARGIN_S:
                return f"storm in {domain} {since_s:.1f} s ago"
        return ""

    def _domains_of(self, host: Host) -> tuple[str, ...]:
        known_host, domains = self._domains.get(host.name, (None, ()))
        if known_host is not host:
            domains = tuple(self._find_domains(host))
            self._domains[host.name] = host, domains
        return domains

    def _find_domains(self, host: Host) -> Iterator[str]:
        for rule in self._rules.domains:
            label = host.labels.get(rule.by.removeprefix("label:"))
            if rule.by == "fleet":
                yield rule.by
            elif rule.by == "cluster":
                yield f"cluster/{host.cluster}"
            elif label is not None:
                yield f"{rule.by}/{label}"

    def _is_over(self, domain: str, counted: int, silent_at: Sequence[float], now: float) -> bool:
        rules = self._rules
        if counted < rules.min_hosts:
            return False
        by = domain.partition("/")[0]
        threshold = next(rule.threshold_percent for rule in rules.domains if rule.by == by)
        if 100 * len(silent_at) / counted > threshold:
            return True
        burst = rules.burst
        newly = sum(at > now - burst.within_s + MARGIN_S for at in silent_at)
        return newly > burst.hosts and 100 * newly / counted > burst.percent
