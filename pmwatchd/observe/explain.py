"""
Why it did, or why it waits: the story of a host or of an operation, in values and in words.

Pure functions from records and live pictures; reading them is the API's part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pmwatchd.core.model import Cause, Liveness
from pmwatchd.core.orders import Record, Told
from pmwatchd.core.views import HostView, OperationView, SiteView
from pmwatchd.observe import outlook
from pmwatchd.observe import story as stories
from pmwatchd.observe.lines import line_of_row, rfc3339
from pmwatchd.observe.outlook import Obstacle, WallOf, stamp
from pmwatchd.observe.phases import Phases
from pmwatchd.observe.story import Operation, Scene, Story, instant
from pmwatchd.ports import Row

Json = dict[str, object]

LOOK_BACK = timedelta(days=7)
"""So far back is the beginning of a silence looked for when nothing tells it."""

BEFORE_OPERATION = timedelta(days=1)
"""So far before an automatic operation is the beginning of the silence looked for."""

_EXECUTED = ("agent", "proxy", "action", "result", "power", "took_s", "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """
    What is explained, and from what.

    Attributes:
        name: As it was asked for.
        host: The host that it is about.
        view: None: the host is not watched any more.
        running: The engine's picture of the operation in question, if it has one.
        operation: The journal's row of that operation, or of the host's last one.
        of_operation: The operation was asked for, not the host.
        since: So far back goes the story.
        because: Why not further, in words.
    """

    name: str
    host: str
    view: HostView | None
    site: SiteView
    wall_of: WallOf
    running: OperationView | None = None
    operation: Row | None = None
    of_operation: bool = False
    since: datetime | None = None
    because: str = ""


def calm(view: HostView) -> bool:
    """Whether there is no story to tell: the host is up, and nothing is done to it."""
    return view.liveness is Liveness.UP and view.operation is None


def beginning(
    view: HostView, last: Row | None, wall_of: WallOf, now: datetime
) -> tuple[datetime, str]:
    """
    Return since when a host is explained, and why not further back.

    Args:
        last: The journal's row of its last operation.
    """
    if view.last_answer_at is None:
        return now - LOOK_BACK, "its last answer, or 7 days"
    since = wall_of(view.last_answer_at)
    if last is None:
        return since, "its last answer"
    closed_at = last.get("closed_at")
    if closed_at is None or instant(closed_at) >= since:
        opened_at = instant(last["opened_at"])
        if opened_at < since:
            return opened_at, "its last operation"
    return since, "its last answer"


def beginning_of(operation: Operation) -> tuple[datetime, str]:
    """Return since when an operation is explained, and why not further back."""
    if operation.cause == Cause.AUTOMATIC:
        return operation.opened_at - BEFORE_OPERATION, "the last answer before it, or a day"
    return operation.opened_at, "its beginning"


def document(about: About, story: Story) -> Json:
    """Explain it, as plain JSON values; ``text`` is the same for people."""
    scenes = story.scenes()
    stopping = _obstacles(about)
    running = about.view and about.view.operation
    return {
        "kind": "operation" if about.of_operation else "host",
        "name": about.name,
        "host": about.host,
        "operation": about.name if about.of_operation else running,
        "looks_back_to": rfc3339(_begins_at(about, scenes)),
        "now": _now(about),
        "would_act_when": [_stopping(one) for one in stopping],
        "phases": [
            {"phase": name, "took_s": round(took_s, 3), "ended_at": rfc3339(at)}
            for name, took_s, at in _phases(scenes)
        ],
        "holds": list(_holds(scenes)),
        "votes": [_vote(scene) for scene in stories.votes(scenes)],
        "executions": [_execution(scene) for scene in stories.executions(scenes)],
        "records": [_counted(line_of_row(scene.row), scene) for scene in scenes],
        "left_out": story.left_out,
        "text": "\n".join(_text(about, story, stopping)),
    }


def _obstacles(about: About) -> tuple[Obstacle, ...]:
    if about.view is None or (about.of_operation and not _open(about)):
        return ()
    return outlook.obstacles(about.view, about.site, about.wall_of)


def _open(about: About) -> bool:
    return about.operation is not None and about.operation.get("outcome") is None


def _now(about: About) -> Json | None:
    view = about.view
    if view is None:
        return None
    heard_at = view.last_answer_at
    return {
        "status": view.status.value,
        "liveness": view.liveness.value,
        "since": rfc3339(about.wall_of(view.since_at)),
        "last_answer_at": None if heard_at is None else rfc3339(about.wall_of(heard_at)),
        "operation": view.operation,
        "outlook": outlook.outlook(view, about.running, about.wall_of),
    }


def _stopping(one: Obstacle) -> Json:
    return {
        "hold": one.hold.value,
        "since": rfc3339(one.since),
        "until": rfc3339(one.until),
        "reason": one.reason,
        "sentence": one.sentence,
    }


def _begins_at(about: About, scenes: Sequence[Scene]) -> datetime | None:
    return stories.at(scenes[0].row) if scenes and about.of_operation else about.since


def _phases(scenes: Sequence[Scene]) -> Iterator[tuple[str, float, datetime]]:
    phases = Phases()
    for scene in scenes:
        row, at = scene.row, stories.at(scene.row)
        fields = {name: value for name, value in row.items() if _plain(value)}
        record = Record(
            event=str(row["event"]),
            host=_word(row.get("host")),
            operation=_word(row.get("operation")),
            fields=fields,  # type: ignore[arg-type] # what is not plain was left out
        )
        for phase, took_s in phases.after(Told(record, at)):
            yield phase.value, took_s, at


def _plain(value: object) -> bool:
    return value is None or isinstance(value, (str, int, float))


def _word(value: object) -> str | None:
    return None if value is None else str(value)


def _holds(scenes: Sequence[Scene]) -> Iterator[Json]:
    """Yield each hold with its beginning and its end; what is not known of them is None."""
    begun: dict[str, Row] = {}
    found: list[tuple[Row | None, Row | None]] = []
    for scene in scenes:
        row = scene.row
        name = str(row.get("hold"))
        if row["event"] == "hold.began":
            if (lost := begun.pop(name, None)) is not None:
                found.append((lost, None))
            begun[name] = row
        elif row["event"] == "hold.ended":
            found.append((begun.pop(name, None), row))
    found += [(row, None) for row in begun.values()]
    holds = [_hold(began, ended) for began, ended in found]
    yield from sorted(holds, key=lambda one: str(one["began"] or one["ended"]))


def _hold(began: Row | None, ended: Row | None) -> Json:
    took_s = _passed_s(began["at"], ended["at"]) if began and ended else None
    return {
        "hold": (began or ended or {}).get("hold"),
        "began": rfc3339(began["at"]) if began else None,
        "ended": rfc3339(ended["at"]) if ended else None,
        "took_s": took_s,
        "reason": began.get("reason") if began else None,
    }


def _passed_s(begin: object, end: object) -> float | None:
    """Return what passed between two instants; a wall clock that was set back says nothing."""
    passed_s = (instant(end) - instant(begin)).total_seconds()
    return round(passed_s, 3) if passed_s >= 0 else None


def _vote(scene: Scene) -> Json:
    row = scene.row
    alive_check = row["event"] == "alive.checked"
    vote: Json = {
        "at": rfc3339(row["at"]),
        "by": "alive_check" if alive_check else row.get("proxy"),
        "opinion": row.get("result"),
        "reason": row.get("reason") or "",
    }
    return _counted(vote, scene)


def _execution(scene: Scene) -> Json:
    row = scene.row
    execution: Json = {"at": rfc3339(row["at"]), **{name: row.get(name) for name in _EXECUTED}}
    if row["event"] == "fence.no_proxy":
        execution["result"] = "no_proxy"
    return _counted(execution, scene)


def _counted(values: Json, scene: Scene) -> Json:
    return values | {"times": scene.times, "last_at": rfc3339(scene.last["at"])}


def _text(about: About, story: Story, stopping: Sequence[Obstacle]) -> Iterator[str]:
    if about.of_operation:
        yield from _operation_lines(about)
    elif about.view is not None:
        yield from _host_lines(about.view, about)
    simply_up = about.view is not None and calm(about.view) and not about.of_operation
    if about.view is not None and not simply_up and (not about.of_operation or _open(about)):
        yield outlook.outlook(about.view, about.running, about.wall_of)
    if stopping:
        yield "What has to change before it is fenced automatically:"
        for one in stopping:
            since = f" since {stamp(one.since)}" if one.since else ""
            yield f"  {one.hold.value}{since}: {one.reason}"
            yield f"    {one.sentence}"
    yield from _story_lines(about, story)


def _host_lines(view: HostView, about: About) -> Iterator[str]:
    name, liveness = view.host.name, view.liveness.value
    status = view.status.value
    shown = "" if status == liveness else f", shown as {status}"
    yield f"{name} is {liveness} since {stamp(about.wall_of(view.since_at))}{shown}."
    if view.last_answer_at is None:
        yield "It has not answered since this daemon started."
    else:
        yield f"Its last answer came at {stamp(about.wall_of(view.last_answer_at))}."
    yield f"{_protection(view)} {_last_operation(about.operation)}"
    for alert in view.alerts:
        since = stamp(about.wall_of(alert.since_at))
        yield f"Alert {alert.name.value} since {since}: {alert.reason}"


def _protection(view: HostView) -> str:
    power = view.host.power_management
    if not power.enabled:
        return "Power management is switched off for it."
    if not power.agents:
        return "It has no fence agent."
    groups = (" and ".join(agent.name for agent in group) for group in power.groups)
    return f"It is fenced by {', then '.join(groups)}."


def _last_operation(row: Row | None) -> str:
    if row is None:
        return "No operation of it is known."
    if row.get("outcome") is None:
        return f"Its operation {row['id']} ({row['action']}) runs."
    ended = stamp(instant(row["closed_at"]))
    return (
        f"Its last operation {row['id']} ({row['action']}) ended {ended}: {row['outcome']}; see "
        f"`pmwatchd explain {row['id']}`."
    )


def _operation_lines(about: About) -> Iterator[str]:
    row = about.operation or {}
    automatic = row.get("cause") == Cause.AUTOMATIC
    wanted = "automatically" if automatic else f"asked for by {row.get('by') or 'a person'}"
    yield (
        f"Operation {row.get('id')}: {row.get('action')} of {about.host}, {wanted}, opened "
        f"{stamp(instant(row['opened_at']))}."
    )
    if row.get("reason"):
        yield f"Its reason: {row['reason']}."
    if row.get("outcome") is not None:
        took_s = _passed_s(row["opened_at"], row["closed_at"])
        after = "" if took_s is None else f", after {took_s:.1f} s"
        yield f"It ended {stamp(instant(row['closed_at']))}{after}: {row['outcome']}."
    if about.view is None:
        yield f"{about.host} is not watched any more."


def _story_lines(about: About, story: Story) -> Iterator[str]:
    scenes = story.scenes()
    if about.since is None:
        return
    begins_at = _begins_at(about, scenes) or about.since
    yield f"What happened since {stamp(begins_at)} ({about.because}); times are UTC:"
    if not scenes:
        yield "  nothing that was kept in the journal"
    day = ""
    for scene in scenes:
        at = stories.at(scene.row)
        if (today := f"{at:%Y-%m-%d}") != day:
            day = today
            yield f"  {day}"
        message = line_of_row(scene.row)["message"]
        again = f" ({scene.times} times, until {stories.at(scene.last):%H:%M:%S})"
        yield f"    {at:%H:%M:%S}  {message}{again if scene.times > 1 else ''}"
    if story.left_out:
        yield f"  {story.left_out} records in the middle are left out; `pmwatchd events` has them."
    if phases := list(_phases(scenes)):
        taken = ", ".join(f"{name} {took_s:.1f} s" for name, took_s, _ in phases)
        yield f"How long it took: {taken}."
    if holds := list(_holds(scenes)):
        yield "Holds:"
        for hold in holds:
            yield f"  {hold['hold']}: {_span(hold)}"


def _span(hold: Json) -> str:
    began = f"from {stamp(instant(hold['began']))}" if hold["began"] else "begun before"
    if hold["took_s"] is not None:
        return f"{began}, for {hold['took_s']:.1f} s"
    return f"{began}, ended {stamp(instant(hold['ended']))}" if hold["ended"] else began
