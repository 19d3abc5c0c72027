"""
A host dies and must be fenced, once; the plays differ in what else is broken.

A play only does things to the site and waits; whether all ended well is judged
afterwards, see :mod:`pmwatchd.lab.verdict`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pmwatchd.lab.chronicle import LabError, Source, heard
from pmwatchd.lab.scenarios.stage import (
    BMC,
    BMC_THEN_PDU,
    ITS_BMC,
    TARGET,
    Scenario,
    Stage,
    all_up,
    end_well,
    fenced,
)
from pmwatchd.lab.site import Site, Wire
from pmwatchd.lab.verdict import sent_on

_TWO_FEEDS = (
    Wire(name="pdu-a", order=1, is_feed=True),
    Wire(name="pdu-b", order=1, is_feed=True),
)
_MORAL = f"{TARGET} went off once and then on once, and is up again"
_RESTART_S = 0.3  # how long a service manager takes to start a dead daemon again
_LIVES = 2  # of the daemon in a play that kills it once


def _death(
    plot: str,
    *,
    wiring: tuple[Wire, ...] = (BMC,),
    switches: frozenset[str] = ITS_BMC,
    before: Callable[[Stage], None] = lambda _stage: None,
    meanwhile: Callable[[Stage], Awaitable[None]] | None = None,
    check: Callable[[Stage], list[str]] = lambda _stage: [],
) -> Scenario:
    """
    Make a play in which the target hangs.

    Args:
        switches: Those of the target that must go off and on, once.
        before: What breaks before the host dies.
        meanwhile: What happens while it is being fenced.
        check: What else must be true in the end, as sentences of what is not.
    """

    async def play(stage: Stage) -> None:
        await all_up(stage)
        before(stage)
        act = stage.act
        stage.target.hang()
        if meanwhile is not None:
            await meanwhile(stage)
        await fenced(stage, after=act)
        await end_well(stage, switches)
        if found := check(stage):
            raise LabError("; ".join(found))

    return Scenario(plot=plot, moral=_MORAL, play=play, wiring=wiring)


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


DEAD_HOST = _death(
    f"{TARGET} hangs. It must be switched off once, seen off, and only then switched on again.",
)
SECONDARY = _death(
    f"{TARGET} hangs and its BMC is dead as well. The outlet of the PDU behind it must do.",
    wiring=BMC_THEN_PDU,
    switches=frozenset({"pdu/3"}),
    before=_lose_primary,
)
DUAL_POWER = _death(
    f"{TARGET} hangs. It has two power supplies: both outlets must be off at the same time "
    "before any is switched on.",
    wiring=_TWO_FEEDS,
    switches=frozenset({"pdu-a/3", "pdu-b/3"}),
)
PROXY_LOST = _death(
    f"{TARGET} hangs, and the machine that would fence it first has just lost its SSH server. "
    "The next one must do it.",
    before=_lose_first_proxy,
    check=_next_proxy_was_used,
)
CRASH = _death(
    f"{TARGET} hangs, and the daemon is killed after the off and before the on. The next daemon "
    "must finish the work, with no second off.",
    meanwhile=_crash,
    check=_started_twice,
)
