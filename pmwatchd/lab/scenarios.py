"""
What can be played, and how each play goes.

Every scenario kills one host; they differ in what else is broken.  A play
only does things to the site and waits; whether all ended well is judged
afterwards, see :mod:`pmwatchd.lab.verdict`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pmwatchd.lab.chronicle import Chronicle, LabError, Source, heard
from pmwatchd.lab.daemon import Daemon
from pmwatchd.lab.site import Site, Wire
from pmwatchd.lab.verdict import sent_on, wrongs

TARGET = "node3"
BMC = Wire(name="bmc", order=1, is_feed=False)
BMC_THEN_PDU = (BMC, Wire(name="pdu", order=2, is_feed=True))
TWO_FEEDS = (
    Wire(name="pdu-a", order=1, is_feed=True),
    Wire(name="pdu-b", order=1, is_feed=True),
)
_RESTART_S = 0.3  # how long a service manager takes to start a dead daemon again
_LIVES = 2  # of the daemon in a play that kills it once
_AFTERMATH_S = 1.0  # how long the iron is watched after the end for anything that comes late


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything a play can lay hands on."""

    site: Site
    daemon: Daemon
    chronicle: Chronicle


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """
    One play.

    Attributes:
        plot: What happens and what is to be shown, for the newcomer.
        switches: Those of the target that must go off and on, once.
        before: What breaks before the host dies.
        meanwhile: What happens while it is being fenced.
        check: What else must be true in the end, as sentences of what is not.
    """

    plot: str
    wiring: tuple[Wire, ...]
    switches: frozenset[str]
    before: Callable[[Stage], None] = lambda _stage: None
    meanwhile: Callable[[Stage], Awaitable[None]] | None = None
    check: Callable[[Stage], list[str]] = lambda _stage: []


async def play(scenario: Scenario, stage: Stage) -> None:
    """
    Play it to its end.

    Raises:
        LabError: It did not end as it should; the sentence says why.
    """
    site, daemon, chronicle = stage.site, stage.daemon, stage.chronicle
    await all_up(stage)
    scenario.before(stage)
    act = len(chronicle.happenings)
    site.machine(TARGET).hang()
    if scenario.meanwhile is not None:
        await scenario.meanwhile(stage)
    closed = await chronicle.until(heard(Source.DAEMON, "fence.closed", TARGET), after=act)
    if closed.fields.get("outcome") != "done":
        raise LabError(f"the operation on {TARGET} ended as {closed.fields.get('outcome')!r}")
    await chronicle.until(heard(Source.IRON, "iron.running", TARGET), after=act)
    await daemon.shows(lambda shown: bool(shown) and set(shown.values()) == {"up"})
    chronicle.lab("lab.all_up", f"the daemon shows {TARGET} as up, like all others")
    await asyncio.sleep(_AFTERMATH_S)
    again = [h for h in chronicle.happenings if heard(Source.DAEMON, "fence.closed")(h)]
    if len(again) != 1:
        raise LabError(f"{len(again)} operations were closed, one was right")
    found = wrongs(site.iron.record, target=TARGET, switches=scenario.switches)
    found += scenario.check(stage)
    if found:
        raise LabError("; ".join(found))


async def all_up(stage: Stage) -> None:
    """Wait until the daemon shows every host as up."""
    names = set(stage.site.names)
    await stage.daemon.shows(
        lambda shown: names == {name for name, status in shown.items() if status == "up"}
    )
    stage.chronicle.lab("lab.ready", f"the daemon hears all {len(names)} hosts")


def _lose_primary(stage: Stage) -> None:
    stage.site.lose_bmc(TARGET)


def _lose_first_proxy(stage: Stage) -> None:
    stage.site.lose_ssh(_first_proxy(stage.site))


def _first_proxy(site: Site) -> str:
    return next(iter(site.proxies))


def _next_proxy_was_used(stage: Stage) -> list[str]:
    lost = _first_proxy(stage.site)
    found = []
    if not any(
        heard(Source.DAEMON, "fence.proxy_failed", TARGET)(h) and h.fields.get("proxy") == lost
        for h in stage.chronicle.happenings
    ):
        found.append(f"the daemon never said that {lost} failed as a proxy")
    by = {command.by for command in stage.site.iron.record.commands if command.action != "status"}
    second = list(stage.site.proxies)[1]
    if not all(caller.endswith(f"@{second}") for caller in by):
        found.append(f"the switch was not driven from {second} but by {', '.join(sorted(by))}")
    return found


async def _crash(stage: Stage) -> None:
    """Kill the daemon in the very moment the switch falls, before it can know."""
    chronicle, site = stage.chronicle, stage.site
    await chronicle.until(heard(Source.IRON, "iron.switched_off", TARGET))
    await stage.daemon.kill()
    if sent_on(site.iron.record, TARGET):
        raise LabError("the daemon was killed too late: 'on' was sent already")
    chronicle.lab("lab.killed", "kill -9: the daemon is dead, and the host is off", TARGET)
    await asyncio.sleep(_RESTART_S)
    await stage.daemon.start()
    chronicle.lab("lab.restarted", "the daemon is started again; all it has is its journal")


def _started_twice(stage: Stage) -> list[str]:
    starts = sum(heard(Source.DAEMON, "daemon.started")(h) for h in stage.chronicle.happenings)
    return [] if starts == _LIVES else [f"the daemon said {starts} times that it started"]


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "dead-host": Scenario(
            plot=f"{TARGET} hangs. It must be switched off once, seen off, and only then "
            "switched on again.",
            wiring=(BMC,),
            switches=frozenset({f"{TARGET}-bmc"}),
        ),
        "secondary": Scenario(
            plot=f"{TARGET} hangs and its BMC is dead as well. The outlet of the PDU behind it "
            "must do.",
            wiring=BMC_THEN_PDU,
            switches=frozenset({"pdu/3"}),
            before=_lose_primary,
        ),
        "dual-power": Scenario(
            plot=f"{TARGET} hangs. It has two power supplies: both outlets must be off at the "
            "same time before any is switched on.",
            wiring=TWO_FEEDS,
            switches=frozenset({"pdu-a/3", "pdu-b/3"}),
        ),
        "proxy-lost": Scenario(
            plot=f"{TARGET} hangs, and the machine that would fence it first has just lost its "
            "SSH server. The next one must do it.",
            wiring=(BMC,),
            switches=frozenset({f"{TARGET}-bmc"}),
            before=_lose_first_proxy,
            check=_next_proxy_was_used,
        ),
        "crash": Scenario(
            plot=f"{TARGET} hangs, and the daemon is killed after the off and before the on. "
            "The next daemon must finish the work, with no second off.",
            wiring=(BMC,),
            switches=frozenset({f"{TARGET}-bmc"}),
            meanwhile=_crash,
            check=_started_twice,
        ),
    }
)
