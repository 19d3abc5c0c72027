"""A host crashes and writes a dump: whoever cuts its power loses the dump."""

from __future__ import annotations

from pmwatchd.lab.chronicle import Source, heard
from pmwatchd.lab.scenarios.stage import (
    NOTHING,
    TARGET,
    Scenario,
    Stage,
    all_up,
    end_well,
    held,
    shown_as,
    untouched,
)


async def _play(stage: Stage) -> None:
    await all_up(stage)
    await untouched(stage, _dump(stage), though="its kernel wrote a crash dump, or it boots")
    await end_well(stage, NOTHING, times=0)


async def _dump(stage: Stage) -> None:
    """From the crash to the host's own return."""
    act = stage.act
    stage.target.crash()
    await held(stage, "kdump", saying="it writes a crash dump")
    await shown_as(stage, "kdumping")
    await stage.chronicle.until(heard(Source.IRON, "iron.booting", TARGET), after=act)
    await shown_as(stage, "booting")
    await shown_as(stage, "up")


KDUMP = Scenario(
    plot=f"{TARGET} crashes. Its crash kernel writes a dump and says so in datagrams, then the "
    "machine boots by itself. Nobody may touch its power before, or the dump is lost.",
    moral=f"no switch was touched: {TARGET} wrote its dump and came back by itself",
    play=_play,
    kdump=True,
)
