"""The manager's own cable to one host fails; others still reach it."""

from __future__ import annotations

import asyncio

from pmwatchd.lab.chronicle import LabError, Source, heard
from pmwatchd.lab.scenarios.stage import (
    NOTHING,
    TARGET,
    Scenario,
    Stage,
    alerted,
    all_up,
    end_well,
    held,
    shown_as,
    untouched,
)

_ROUNDS_S = 9.0  # witnesses are asked every 5 s, and what they said counts for 8 s


async def _play(stage: Stage) -> None:
    await all_up(stage)
    await untouched(stage, _cut_off(stage), though="others still reached it")
    await end_well(stage, NOTHING, times=0)


async def _cut_off(stage: Stage) -> None:
    """Cut it off, see it held for longer than any opinion counts, mend it, see it well."""
    site, chronicle = stage.site, stage.chronicle
    site.cut_manager_off(TARGET)
    await held(stage, "seen_by_others", saying="we are cut off")
    await alerted(stage, "partitioned")
    rest = stage.act
    await asyncio.sleep(_ROUNDS_S)
    ended = heard(Source.DAEMON, "hold.ended", TARGET)
    if any(ended(h) for h in chronicle.happenings[rest:]):
        raise LabError("the hold ended while others still reached it")
    mended = stage.act
    site.mend_network([TARGET])
    await shown_as(stage, "up")
    cleared = heard(Source.DAEMON, "alert.cleared", TARGET)
    await chronicle.until(
        lambda h: cleared(h) and h.fields.get("alert") == "partitioned", after=mended
    )


WITNESS = Scenario(
    plot=f"The manager is cut off from {TARGET}, which is well. The proxies reach it from their "
    "own place in the network and say so: it must not be fenced, and the fault must be named.",
    moral=f"no switch was touched: others reached {TARGET}, and when mended it was simply up",
    play=_play,
)
