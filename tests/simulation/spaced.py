"""
Power-ons of one domain, checked: with the least pause between those of different hosts.

An execution may be late, because its device is busy or its proxy is slow to
refuse.  So the plans are held against the daemon, which are what it can
decide: two of different hosts are at least the gap apart, and no agent begins
before its plan.  Two agents therefore begin closer together than the gap only
by as much as the first of them was late.  A later start knows of no plan.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from pmwatchd.core.model import FenceAction, Host
from pmwatchd.core.orders import RunAgent
from pmwatchd.core.rules import Spacing
from tests.simulation.loop import World

EPS_S = 1e-6
LABEL = "label:"


class Spaced:
    """Keeps the plans of one life."""

    def __init__(self, world: World, broke: Callable[[str, str], None]) -> None:
        self._world = world
        self._broke = broke
        self._rule = Spacing()
        self._plans: defaultdict[str, dict[str, float]] = defaultdict(dict)

    def begun(self, rule: Spacing) -> None:
        """A daemon has started."""
        self._rule = rule
        self._plans.clear()

    def ordered(self, act: RunAgent, host: Host) -> None:
        """An agent is to be executed; see whether that is planned far enough from the others."""
        domain = host.labels.get(self._rule.by.removeprefix(LABEL))
        if act.action is not FenceAction.ON or domain is None:
            return
        plans = self._plans[domain]
        plan_at = max(act.not_before, self._world.now)
        for other, at in plans.items():
            if other != host.name and abs(plan_at - at) < self._rule.gap_s - EPS_S:
                apart_s = abs(plan_at - at)
                what = f"on of {host.name} is planned {apart_s:.2f} s from that of {other}"
                self._broke("spacing", f"{what} in {domain} (gap {self._rule.gap_s:g} s)")
        plans[host.name] = plan_at

    def started(self, act: RunAgent) -> None:
        """An agent begins."""
        early_s = act.not_before - self._world.now
        if early_s > EPS_S:
            self._broke("spacing", f"{act.action} of {act.host} begins {early_s:.2f} s early")
