"""What became of a power command, for each host: in words, as JSON, as exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import click

from pmwatchd.cli.client import (
    DEGRADED,
    DONE,
    FAILED,
    REFUSED,
    RUNNING,
    UNREACHABLE,
    Document,
    worst,
)
from pmwatchd.cli.tables import document, painted
from pmwatchd.errors import ClientError

AGENT_CODES = {"on": 0, "off": 2}
"""What a fence agent's ``status`` exits with; anything else is 1."""

_DONE = {"off": "proven off", "on": "proven on", "restart": "proven off and on again"}


@dataclass(slots=True)
class Told:
    """What became of the command for one host: for scripts, for people, as exit code."""

    host: str
    code: int
    sentence: str
    fields: Document = field(default_factory=dict)


def reading(host: str, answer: Document) -> Told:
    """Put what the agents read into words."""
    verdict = answer["power"]
    agents = ", ".join(f"{name} {read}" for name, read in answer.get("agents", {}).items())
    lines = [f"{host}: {painted(verdict)}" + (f"  ({agents})" if agents else "")]
    lines += [f"  {name}: {why}" for name, why in answer.get("reasons", {}).items() if why]
    # Unknown is an answer of the switches that proves nothing: the state was not read.
    code = DONE if verdict in AGENT_CODES else FAILED
    return Told(host, code, "\n".join(lines), answer)


def begun(host: str, answer: Document) -> Told:
    """Say that an operation has begun, or that all was done at once."""
    key, joined = answer.get("id"), bool(answer.get("joined"))
    if not key:
        return Told(host, DONE, f"{host}: done", answer)
    verb = "joined" if joined else "begun"
    return Told(host, DONE, f"{host}: operation {key} {verb}", answer | {"joined": joined})


def judge(told: Told, action: str, operation: Document, lost: ClientError | None) -> None:
    """Put the end of an operation, or that it has none yet, into words and an exit code."""
    told.fields |= operation
    host, key, outcome = told.host, operation["id"], operation.get("outcome")
    if operation["state"] != "closed" and lost is not None:
        told.code, told.sentence = lost.exit_code, f"{host}: operation {key}: {lost}"
    elif operation["state"] != "closed":
        told.code = RUNNING
        told.sentence = f"{host}: operation {key} still runs, in {operation.get('phase') or 'work'}"
    elif action == "cancel":
        told.sentence = f"{host}: operation {key} has ended: {outcome}"
    elif outcome == "done":
        told.sentence = f"{host}: {_DONE[action]} ({key})"
    elif outcome == "degraded":
        told.code = DEGRADED
        told.sentence = f"{host}: {_DONE[action]}, but not by every agent ({key})"
    else:
        told.code = FAILED
        told.sentence = (
            f"{host}: {action} was not done, operation {key} has ended: {outcome}. "
            f"See `pmwatchd events --operation {key}`"
        )


def show(told: Sequence[Told], *, as_json: bool) -> int:
    """Print what became of all hosts and return the gravest exit code."""
    if as_json:
        items = [{"host": one.host, **one.fields, "exit_code": one.code} for one in told]
        # One host, one object: what most scripts ask for.
        document(items[0] if len(items) == 1 else {"items": items})
    for one in told:
        failed = one.code in (FAILED, REFUSED, UNREACHABLE)
        if failed or not as_json:
            click.echo(one.sentence, err=failed)
    return worst(one.code for one in told)
