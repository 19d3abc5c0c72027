"""Alerts, checked as they are raised and cleared: what is true is said, as long as it is true."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from pmwatchd.core.model import Alert, Host, Liveness
from pmwatchd.core.orders import Record, SaveHost
from pmwatchd.core.signs import wants_words
from pmwatchd.core.views import HostView
from pmwatchd.io.heartbeat.beat import Beat
from tests.simulation.claims import Claims
from tests.simulation.held import Held
from tests.simulation.loop import World
from tests.simulation.truth import Track

EPS_S = 1e-6
NOTICED_S = 5.0
"""What is true for so long is known, and shown."""


class Alerts:
    """Judges ``miswired`` and ``half_alive``."""

    def __init__(
        self,
        world: World,
        claims: Claims,
        held: Held,
        broke: Callable[[str, str], None],
    ) -> None:
        self._world = world
        self._claims = claims
        self._held = held
        self._broke = broke
        self._hosts: dict[str, Host] = {}
        self._weak_since: dict[str, float] = {}

    def begun(self) -> None:
        """A daemon has started, which has heard nothing yet."""
        self._hosts.clear()
        self._weak_since.clear()

    def loaded(self, hosts: Mapping[str, Host]) -> None:
        """Another inventory is valid; a host that is asked otherwise was not heard yet."""
        for name in list(self._weak_since):
            if name not in hosts or hosts[name].fingerprint != self._hosts[name].fingerprint:
                del self._weak_since[name]
        self._hosts = dict(hosts)

    def heard(self, host: Host, beat: Beat) -> None:
        """An answer was delivered; a strong one ends all doubts."""
        if host.name not in self._hosts or self._hosts[host.name].fingerprint != host.fingerprint:
            return
        if beat.weak is False:
            self._weak_since.pop(host.name, None)
        elif beat.weak and wants_words(host.heartbeat):
            self._weak_since.setdefault(host.name, self._world.now)

    def told(self, told: Record, track: Track | None) -> None:
        """See an alert of a host that is raised or cleared."""
        name = told.host or ""
        match told.event, told.fields["alert"]:
            case "alert.raised", Alert.MISWIRED if not self._held.inspected.off(name):
                if track is not None:
                    self._miswired(track)
                elif not self._held.saved.get(name, SaveHost(host=name)).miswired:
                    self._broke("alerts", f"{name} is called miswired, and nobody knows why")
            case "alert.raised", Alert.HALF_ALIVE if name in self._hosts:  # else it leaves now
                since_at = self._weak_since.get(name, self._world.now)
                grace_s = _grace_s(self._hosts[name])
                if self._world.now - since_at < grace_s - EPS_S:
                    self._broke("alerts", f"{name} is called half alive too early")
            case "alert.cleared", Alert.HALF_ALIVE if name in self._weak_since:
                if track is None and not self._held.silent(name) and not self._boots(name):
                    self._broke("alerts", f"{name} is half alive, and not called so any more")
                del self._weak_since[name]  # whatever comes back speaks for itself
            case _:
                pass

    def shown(self, view: HostView) -> str:
        """Return what is not shown of a host although it is known, or shown and not true."""
        name = view.host.name
        alerts = {alert.name for alert in view.alerts}
        since_at = max(self._weak_since.get(name, math.inf), view.since_at)  # it fell silent
        weak_s = self._world.now - since_at
        lasting = weak_s > _grace_s(view.host) + NOTICED_S
        if lasting and view.liveness is Liveness.UP and Alert.HALF_ALIVE not in alerts:
            return f"{name} gives only weak signs for {weak_s:.0f} s, and is not called half alive"
        return ""

    def _boots(self, host: str) -> bool:
        """Whether it boots, by the journal: whatever comes back speaks for itself."""
        return self._held.saved.get(host, SaveHost(host=host)).booting

    def _miswired(self, track: Track) -> None:
        """It is only said where an agent switches another machine than its host."""
        since_at = track.opened_at
        agents = track.host.power_management.agents
        switches = {self._claims.switch_of(agent) for agent in agents}
        machine = self._claims.iron.machines[track.host.name]
        if any(feed not in switches for feed in machine.feeds):
            return  # a supply that the inventory of now does not name keeps it alive
        for agent in agents:
            switch = self._claims.switch_of(agent)
            came_back = switch.on and switch.changed_at > since_at  # by itself: no on was sent yet
            if came_back or self._claims.misled(track.host, agent, since_at=since_at):
                return
        self._broke("alerts", f"{track.host.name} is called miswired, and is not")


def _grace_s(host: Host) -> float:
    return host.grace.period_s + host.extra_grace_s
