"""Now and then, while all goes wrong: is what holds and what is doubted shown by its name?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pmwatchd.core.model import Alert, HoldName, Liveness
from pmwatchd.core.views import HostView

if TYPE_CHECKING:
    from tests.simulation.site import Site

EVERY_S = 7.0
JUDGED_S = 3.0
"""A host that is silent beyond its grace is judged every second."""


def keep_looking(site: Site) -> None:
    """Look as long as the run lasts; what is wrong is noted once per host."""
    found: set[tuple[str, str]] = set()

    def look() -> None:
        if site.over:
            return
        site.world.after(EVERY_S, look)
        busy = site.world.now - JUDGED_S < site.world.stopped_until
        if site.daemon is None or busy or not site.daemon.lifeline.alive:
            return
        for view in site.daemon.fleet.hosts():
            for rule, what in _wrongs(site, view):
                if (rule, view.host.name) not in found:
                    found.add((rule, view.host.name))
                    site.witness.broke(rule, what)

    site.world.after(EVERY_S, look)


def _wrongs(site: Site, view: HostView) -> list[tuple[str, str]]:
    witness, name, now = site.witness, view.host.name, site.world.now
    wrongs = []
    if missing := witness.alerts.shown(view):
        wrongs.append(("alerts", missing))
    off = witness.held.inspected.off(name) & {
        agent.outlet for agent in view.host.power_management.agents
    }
    saved = site.witness.held.saved.get(name)
    proven = saved is not None and saved.miswired == view.host.wiring
    alerts = {alert.name for alert in view.alerts}
    if off and Alert.MISWIRED not in alerts:
        wrongs.append(("alerts", f"miswired is not raised for {name}, of which {sorted(off)} is"))
    if Alert.MISWIRED in alerts and not (off or proven):
        wrongs.append(("alerts", f"{name} is called miswired still, and nothing of it is"))
    silent = view.liveness is Liveness.NON_RESPONSIVE and now - view.since_at > JUDGED_S
    running = witness.tracks.get(view.operation or "")
    holds = {hold.name for hold in view.holds}
    if off and silent and running is None and HoldName.MISWIRED not in holds:
        wrongs.append(("holds", f"{name} is silent and miswired, and only {sorted(holds)} shown"))
    return wrongs
