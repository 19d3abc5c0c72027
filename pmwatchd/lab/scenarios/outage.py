"""A switch fails and takes many hosts with it: a storm, and only one of them is really dead."""

from __future__ import annotations

import asyncio

from pmwatchd.lab.chronicle import Source, heard
from pmwatchd.lab.scenarios.stage import (
    HELD_S,
    ITS_BMC,
    TARGET,
    Scenario,
    Stage,
    all_up,
    end_well,
    fenced,
    held,
    untouched,
)

_SMALL = 5  # in a smaller site the switch has to take a proxy as well, or it is no storm


async def _play(stage: Stage) -> None:
    await all_up(stage)
    act = stage.act
    await untouched(stage, _outage(stage), though="the network was out, and is hardly back")
    await fenced(stage, after=act)
    await end_well(stage, ITS_BMC)


async def _outage(stage: Stage) -> None:
    """From the failure of the network to the end of the storm; one host dies meanwhile."""
    site, chronicle = stage.site, stage.chronicle
    lost = site.names[1:] if len(site.names) < _SMALL else site.names[2:]
    site.cut(lost)
    verdict = f"{len(lost)} of {len(site.names)} hosts of the fleet silent"
    await held(stage, "storm", saying=verdict, hosts=lost)
    stage.target.hang()
    await asyncio.sleep(HELD_S)
    act = stage.act
    site.mend_network(lost)
    storm_is_over = heard(Source.DAEMON, "hold.ended", TARGET)
    await chronicle.until(lambda h: storm_is_over(h) and h.fields.get("hold") == "storm", after=act)


NETWORK_OUTAGE = Scenario(
    plot=f"A switch fails, and most hosts fall silent at once, alive. {TARGET} really dies "
    "meanwhile. As long as it looks like a fault of the network nobody may be fenced; when the "
    f"others are back and the storm has settled, {TARGET} must be, and nobody else.",
    moral=f"nobody was fenced while the network was out; then {TARGET} alone was, and is up",
    play=_play,
)
