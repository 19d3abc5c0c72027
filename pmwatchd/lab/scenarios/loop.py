"""A host that dies again and again: fencing does not help it, and must end."""

from __future__ import annotations

import asyncio

from pmwatchd.lab.scenarios.stage import (
    HELD_S,
    ITS_BMC,
    TARGET,
    Scenario,
    Stage,
    alerted,
    all_up,
    end_well,
    fenced,
    held,
    untouched,
)

_LIMIT = 2
_REASON = "a bad module of memory is replaced"


async def _play(stage: Stage) -> None:
    await all_up(stage)
    for _ in range(_LIMIT):
        act = stage.act
        stage.target.hang()
        await fenced(stage, after=act)
    stage.target.hang()
    await untouched(stage, _parked(stage), though=f"it was fenced {_LIMIT} times and is parked")
    act = stage.act
    stage.chronicle.lab("lab.command", f"a person looks at it: pmwatchd ack {TARGET}", TARGET)
    await stage.daemon.tell("ack", TARGET, "--reason", _REASON)
    await fenced(stage, after=act)
    await end_well(stage, ITS_BMC, times=_LIMIT + 1)


async def _parked(stage: Stage) -> None:
    await held(stage, "parked", saying=f"{_LIMIT} times")
    await alerted(stage, "parked")
    await asyncio.sleep(HELD_S)


LOOP = Scenario(
    plot=f"{TARGET} hangs again whenever it was fenced. After {_LIMIT} times it must be left "
    "alone, visibly, until a person has looked at it and says so; then it is fenced once more.",
    moral=f"{TARGET} was fenced {_LIMIT} times, then parked, and once more on a person's word",
    play=_play,
    settings=f"[safety]\nloop_limit = {_LIMIT}\n",
)
