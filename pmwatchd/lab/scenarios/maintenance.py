"""A host dies under the hands of the person who works on it."""

from __future__ import annotations

from pmwatchd.lab.chronicle import LabError, Source, heard
from pmwatchd.lab.scenarios.stage import (
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

_FOR_S = 11
_GRACE_S = 5  # longer than whatever else a daemon that forgot it would take to fence
_REASON = "a fan is replaced"
_SLACK_S = 0.5  # a line of the daemon's log may reach the lab so much late


async def _play(stage: Stage) -> None:
    await all_up(stage)
    act = stage.act
    ended_at_s = await untouched(stage, _maintained(stage), though="it was in maintenance")
    await fenced(stage, after=act)
    await end_well(stage, ITS_BMC)
    first = next(c for c in stage.site.iron.record.commands if c.action == "off")
    waited_s = stage.chronicle.seconds(first.at) - ended_at_s
    if waited_s < _GRACE_S - _SLACK_S:
        raise LabError(
            f"'off' was sent {waited_s:.1f} s after the maintenance: "
            f"its grace of {_GRACE_S} s did not run anew"
        )


async def _maintained(stage: Stage) -> float:
    """Let it die in maintenance; when that was over, in seconds."""
    words = f"maintenance start {TARGET} --for {_FOR_S}s"
    stage.chronicle.lab("lab.command", f"a person works on it: pmwatchd {words}", TARGET)
    await stage.daemon.tell(*words.split(), "--reason", _REASON)
    act = stage.act
    stage.target.hang()
    await held(stage, "maintenance", saying=_REASON)
    over = heard(Source.DAEMON, "maintenance.ended", TARGET)
    return (await stage.chronicle.until(over, after=act)).at_s


MAINTENANCE = Scenario(
    plot=f"{TARGET} is in maintenance for {_FOR_S} s and hangs meanwhile. Nobody may fence it in "
    "that time. When it is over and the host still silent, a whole grace period runs from then "
    "on, and only then it is fenced.",
    moral=f"{TARGET} was left alone in maintenance, then given its grace, then fenced, and is up",
    play=_play,
    settings=f'[grace]\nperiod = "{_GRACE_S}s"\n',
)
