"""What the core tells in a scene, as the rows that a journal gives back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

from pmwatchd.core.views import HostView, SiteView
from pmwatchd.observe import explain
from pmwatchd.observe.story import Story, operation_of
from pmwatchd.ports import Row
from tests.core.scene import WALL, Scene

CALM = SiteView()


def wall_of(at: float) -> datetime:
    return WALL + timedelta(seconds=at)


def told(scene: Scene, name: str = "node7") -> list[Row]:
    """The records of one host, through JSON as they go through the journal."""
    return [
        {
            "sequence": number,
            "at": wall_of(at).isoformat(timespec="microseconds"),
            "event": record.event,
            "host": record.host,
            "operation": record.operation,
            **json.loads(json.dumps(dict(record.fields))),
        }
        for number, (at, record) in enumerate(scene.told, start=1)
        if record.host == name
    ]


def view_of(scene: Scene, name: str = "node7") -> HostView:
    view = scene.fleet.host(name)
    assert view is not None
    return view


def row_of(scene: Scene, key: str) -> Row:
    """The journal's row of an operation."""
    view = next(one for one in scene.fleet.operations() if one.id == key)
    return {
        "id": view.id,
        "host": view.host,
        "action": view.action.value,
        "cause": view.cause.value,
        "by": view.by,
        "reason": view.reason,
        "opened_at": wall_of(view.opened_at).isoformat(),
        "closed_at": None if view.closed_at is None else wall_of(view.closed_at).isoformat(),
        "outcome": None if view.outcome is None else view.outcome.value,
    }


def host_explained(scene: Scene, *, site: SiteView = CALM, last: Row | None = None) -> explain.Json:
    """Explain node7 with everything that was told since its last answer."""
    view = view_of(scene)
    # the engine knows the last answer from the heartbeats, the core only from changes
    view = replace(view, last_answer_at=scene._last_answer.get("node7"))
    story = Story(anew=True)
    since, because = None, ""
    if not explain.calm(view):
        story.add(told(scene))
        since, because = explain.beginning(view, last, wall_of, wall_of(scene.now))
    about = explain.About(
        name="node7",
        host="node7",
        view=view,
        site=site,
        wall_of=wall_of,
        operation=last,
        since=since,
        because=because,
    )
    return explain.document(about, story)


def operation_explained(scene: Scene, key: str) -> explain.Json:
    """Explain an operation of node7."""
    row = row_of(scene, key)
    operation = operation_of(row)
    since, because = explain.beginning_of(operation)
    story = Story(of=operation, anew=operation.cause == "automatic")
    story.add(told(scene))
    about = explain.About(
        name=key,
        host="node7",
        view=scene.fleet.host("node7"),
        site=CALM,
        wall_of=wall_of,
        running=next(one for one in scene.fleet.operations() if one.id == key),
        operation=row,
        of_operation=True,
        since=since,
        because=because,
    )
    return explain.document(about, story)
