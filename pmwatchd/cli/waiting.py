"""Operations that are awaited: asked for until they are closed, told as they go on."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import click

from pmwatchd.cli.client import UNREACHABLE, Api, Document
from pmwatchd.errors import ClientError

_POLL_S = 0.25
_ABSENCE_MAX_S = 60.0
"""A daemon that is restarted continues its operations; so long its return is awaited."""


@dataclass(slots=True)
class Progress:
    """Tells phases and steps on stderr, each once, where somebody is looking."""

    shown: bool = field(default_factory=sys.stderr.isatty)
    _phases: dict[str, str] = field(default_factory=dict)
    _steps: dict[str, int] = field(default_factory=dict)

    def tell(self, operation: Document) -> None:
        """Show what is new in *operation*."""
        key, host = operation["id"], operation["host"]
        steps = operation.get("steps") or []
        for step in steps[self._steps.get(key, 0) :]:
            self.say(f"{host}: {_step(step)}")
        self._steps[key] = len(steps)
        phase = operation.get("phase") or ""
        if phase != self._phases.get(key, "") and operation["state"] != "closed":
            self._phases[key] = phase
            self.say(f"{host}: {phase.replace('_', ' ')}")

    def say(self, sentence: str) -> None:
        """Show one line."""
        if self.shown:
            click.echo(click.style(sentence, dim=True), err=True)


def _step(step: Document) -> str:
    told = f"{step['agent']}: {step['action']} {step.get('result') or 'asked'}"
    if step.get("power") and step["action"] == "status":
        told += f", power {step['power']}"
    if step.get("proxy"):
        told += f", by {step['proxy']}"
    return told + (f", {step['took_s']:.1f} s" if step.get("took_s") is not None else "")


def until_closed(
    api: Api,
    ids: Iterable[str],
    seen: dict[str, Document],
    *,
    deadline: float | None,
    progress: Progress,
) -> None:
    """
    Follow operations until all are closed or the monotonic *deadline* has passed.

    Puts each into *seen* as it was last seen, so that an interruption loses nothing; one that
    is not ``closed`` there still runs.

    Raises:
        ClientError: The daemon is gone and did not come back.
    """
    open_ids = list(ids)
    while open_ids:
        for key in open_ids:
            seen[key] = _look(api, key, deadline=deadline, progress=progress)
            progress.tell(seen[key])
        open_ids = [key for key in open_ids if seen[key]["state"] != "closed"]
        if deadline is not None and time.monotonic() >= deadline:
            break
        if open_ids:
            time.sleep(_POLL_S)


def _look(api: Api, key: str, *, deadline: float | None, progress: Progress) -> Document:
    give_up_at = time.monotonic() + _ABSENCE_MAX_S
    if deadline is not None:
        give_up_at = min(give_up_at, deadline)
    absent = False
    while True:
        left_s = api.within_s if deadline is None else deadline - time.monotonic()
        try:
            within_s = max(_POLL_S, min(api.within_s, left_s))
            return api.call("GET", f"/operations/{key}", within_s=within_s)
        except ClientError as error:
            if error.exit_code != UNREACHABLE:
                raise
            if time.monotonic() >= give_up_at:
                raise ClientError(
                    "pmwatchd is gone; what is open stays in its journal and goes on when the "
                    "daemon is back. See `systemctl status pmwatchd`",
                    UNREACHABLE,
                ) from error
        if not absent:
            absent = True
            progress.say("pmwatchd does not answer; its operations go on when it is back")
        time.sleep(_POLL_S)
