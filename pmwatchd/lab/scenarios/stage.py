"""What every play is made of: a stage, a target, and ways to wait for what must happen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TypeVar

from pmwatchd.lab.chronicle import Chronicle, LabError, Source, heard
from pmwatchd.lab.daemon import Daemon, Shown
from pmwatchd.lab.iron import Machine
from pmwatchd.lab.site import Site, Wire
from pmwatchd.lab.verdict import wrongs

T = TypeVar("T")

TARGET = "node3"
BMC = Wire(name="bmc", order=1, is_feed=False)
BMC_THEN_PDU = (BMC, Wire(name="pdu", order=2, is_feed=True))
ITS_BMC = frozenset({f"{TARGET}-bmc"})
NOTHING: frozenset[str] = frozenset()

HELD_S = 4.0
"""
How long a hold is looked at before what caused it ends.

Long enough for a daemon that does not keep it to be caught in the act: it
judges once a second, and fencing takes it one second more to reach a switch.
"""

_AFTERMATH_S = 1.0  # how long the iron is watched after the end for anything that comes late


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything a play can lay hands on."""

    site: Site
    daemon: Daemon
    chronicle: Chronicle

    @property
    def target(self) -> Machine:
        """The machine that it happens to."""
        return self.site.machine(TARGET)

    @property
    def act(self) -> int:
        """Number of the next happening, to wait for what comes after this moment."""
        return len(self.chronicle.happenings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """
    One play.

    Attributes:
        plot: What happens and what is to be shown, for the newcomer.
        moral: What was shown when it ended well.
        play: Does things to the site, waits, and judges; raises ``LabError`` when it went wrong.
        settings: What the daemon is told besides the usual, as TOML.
        kdump: Hosts write crash dumps, and the daemon listens for them.
    """

    plot: str
    moral: str
    play: Callable[[Stage], Coroutine[None, None, None]]
    wiring: tuple[Wire, ...] = (BMC,)
    settings: str = ""
    kdump: bool = False


async def all_up(stage: Stage) -> None:
    """Wait until the daemon shows every host as up, for the first time."""
    await _shows_all_up(stage)
    stage.chronicle.lab("lab.ready", f"the daemon hears all {len(stage.site.names)} hosts")


async def _shows_all_up(stage: Stage) -> None:
    names = set(stage.site.names)
    await stage.daemon.shows(
        lambda hosts: names == {name for name, shown in hosts.items() if shown["status"] == "up"}
    )


async def shown_as(stage: Stage, status: str) -> None:
    """Wait until the daemon shows the target with a status."""
    await stage.daemon.shows(lambda hosts: hosts.get(TARGET, {}).get("status") == status)


async def held(stage: Stage, hold: str, *, saying: str = "", hosts: tuple[str, ...] = ()) -> None:
    """Wait until the daemon shows this hold, with these words, at the target or at *hosts*."""
    wanted = hosts or (TARGET,)
    await stage.daemon.shows(
        lambda shown: all(_has(shown.get(name, {}), "holds", hold, saying) for name in wanted)
    )


async def alerted(stage: Stage, alert: str) -> None:
    """Wait until the daemon shows this alert at the target."""
    await stage.daemon.shows(lambda hosts: _has(hosts.get(TARGET, {}), "alerts", alert, ""))


def _has(host: Shown, kind: str, name: str, saying: str) -> bool:
    return any(one["name"] == name and saying in one["reason"] for one in host.get(kind, ()))


async def untouched(stage: Stage, work: Coroutine[None, None, T], *, though: str) -> T:
    """
    Do the work, and see to it that no power switch of the site is touched meanwhile.

    Raises:
        LabError: One was, *though* it should not.
    """
    touch = stage.chronicle.until(heard(Source.IRON, "iron.accepted"), after=stage.act)
    working, touching = asyncio.create_task(work), asyncio.create_task(touch)
    try:
        await asyncio.wait({working, touching}, return_when=asyncio.FIRST_COMPLETED)
        if touching.done():
            raise LabError(f"{touching.result().message}, though {though}")
        return working.result()
    finally:
        working.cancel()
        touching.cancel()
        await asyncio.wait({working, touching})


async def fenced(stage: Stage, *, after: int) -> None:
    """
    Wait until the target was fenced with success, runs again, and is shown as up.

    Raises:
        LabError: The operation ended otherwise.
    """
    chronicle = stage.chronicle
    closed = await chronicle.until(heard(Source.DAEMON, "fence.closed", TARGET), after=after)
    if closed.fields.get("outcome") != "done":
        raise LabError(f"the operation on {TARGET} ended as {closed.fields.get('outcome')!r}")
    await chronicle.until(heard(Source.IRON, "iron.running", TARGET), after=after)
    await shown_as(stage, "up")


async def end_well(stage: Stage, switches: frozenset[str], *, times: int = 1) -> None:
    """
    See everything up, wait for what may come late, and judge by the iron's own record.

    Args:
        switches: Those that must have been off and on, and no others.
        times: How often the target must have been fenced.

    Raises:
        LabError: The record says something else, or more was done than that.
    """
    await _shows_all_up(stage)
    stage.chronicle.lab("lab.all_up", f"the daemon shows {TARGET} as up, like all others")
    await asyncio.sleep(_AFTERMATH_S)
    closed = [h for h in stage.chronicle.happenings if heard(Source.DAEMON, "fence.closed")(h)]
    if len(closed) != times:
        raise LabError(f"{len(closed)} operations were closed, {times} was right")
    found = wrongs(stage.site.iron.record, target=TARGET, switches=switches, times=times)
    if found:
        raise LabError("; ".join(found))
