"""Did it end as it should?  The iron's own record is judged, not what the daemon says."""

from __future__ import annotations

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


def wrongs(record: Record, *, target: str, switches: frozenset[str]) -> list[str]:
    """
    What is wrong with a record, one sentence each; empty: all is well.

    Exactly one ``off`` and then exactly one ``on`` at each of *switches*, no
    ``on`` before all of them were off at the same time, every one on in the
    end, and not one command to any other switch of the whole site.
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
        if actions != ["off", "on"]:
            words = ", ".join(actions) or "nothing"
            found.append(f"{name} got {words}; one off, then one on was right")
    if not found and not _dark_before_on(record, switches):
        found.append(f"'on' was sent before {' and '.join(sorted(switches))} were off together")
    is_on = dict.fromkeys(switches, True)
    is_on |= {flip.switch: flip.is_on for flip in record.flips if flip.switch in switches}
    found += [f"{name} was left off" for name, on in sorted(is_on.items()) if not on]
    return found


def sent_on(record: Record, host: str) -> bool:
    """Has any ``on`` reached a switch of *host*?"""
    return any(command.host == host and command.action == "on" for command in record.commands)


def _dark_before_on(record: Record, switches: frozenset[str]) -> bool:
    first_on_at = min(
        command.at
        for command in record.commands
        if command.switch in switches and command.action == "on"
    )
    off = {
        flip.switch
        for flip in record.flips
        if flip.switch in switches and not flip.is_on and flip.at < first_on_at
    }
    return off == switches
