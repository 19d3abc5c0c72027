"""Did it end as it should?  The iron's own record is judged, not what the daemon says."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pmwatchd.lab.iron import Command, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """
    How a play ended.

    Attributes:
        reason: What is wrong, or in a good end what was shown.
        commands: The iron's own record without the questions, in seconds since the beginning.
        kept: Folder that was left for a look, after a bad end.
        others: What else could be played.
    """

    scenario: str
    ok: bool
    reason: str
    took_s: float
    commands: tuple[tuple[float, Command], ...] = ()
    kept: str | None = None
    others: tuple[str, ...] = ()


def wrongs(record: Record, *, target: str, switches: frozenset[str], times: int = 1) -> list[str]:
    """
    What is wrong with a record, one sentence each; empty: all is well.

    As often as *times* says, exactly one ``off`` and then exactly one ``on``
    at each of *switches*, no ``on`` before all of them were off at the same
    time, every one on in the end, and not one command to any other switch of
    the whole site.  Without *switches* nothing may have been switched at all.
    """
    found: list[str] = []
    sent: dict[str, list[str]] = {name: [] for name in switches}
    for command in record.commands:
        if command.action == "status":
            continue
        if command.host != target:
            found.append(f"{command.host} was touched: '{command.action}' at {command.switch}")
        elif command.switch not in switches:
            found.append(f"'{command.action}' was sent to {command.switch}, which was not its turn")
        else:
            sent[command.switch].append(command.action)
    for name, actions in sorted(sent.items()):
        if actions != ["off", "on"] * times:
            words = ", ".join(actions) or "nothing"
            right = "one off, then one on" if times == 1 else f"off and on in turn, {times} times,"
            found.append(f"{name} got {words}; {right} was right")
    if not found and not all(_dark_before_on(record, switches, turn) for turn in range(times)):
        found.append(f"'on' was sent before {' and '.join(sorted(switches))} were off together")
    is_on = dict.fromkeys(switches, True)
    is_on |= {flip.switch: flip.is_on for flip in record.flips if flip.switch in switches}
    found += [f"{name} was left off" for name, on in sorted(is_on.items()) if not on]
    return found


def sent_on(record: Record, host: str) -> bool:
    """Has any ``on`` reached a switch of *host*?"""
    return any(command.host == host and command.action == "on" for command in record.commands)


def _dark_before_on(record: Record, switches: frozenset[str], turn: int) -> bool:
    """Whether each of *switches* had really gone off before the first ``on`` of a turn."""
    ons = {name: [c.at for c in record.commands if _is(c, name, "on")] for name in switches}
    offs = {name: [f.at for f in record.flips if f.switch == name and not f.is_on] for name in ons}
    first_on_at = min((at[turn] for at in ons.values()), default=math.inf)
    return all(len(at) > turn and at[turn] < first_on_at for at in offs.values())


def _is(command: Command, switch: str, action: str) -> bool:
    return command.switch == switch and command.action == action
