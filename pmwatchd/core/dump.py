"""
Does it write a crash dump?

A host with kdump sends datagrams while it dumps.  Its power is left alone
until they stop, and then it boots by itself.  One such wait per silence, with
a ceiling: the datagrams are not authenticated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pmwatchd.core.holds import Verdict
from pmwatchd.core.model import HoldName
from pmwatchd.core.rules import KdumpRules


@dataclass(frozen=True, slots=True)
class Dump:
    """
    Datagrams of one host.

    Attributes:
        over: This silence had its wait; more datagrams change nothing.
        told: That it dumps was told.
    """

    first_at: float
    last_at: float
    over: bool = False
    told: bool = False


def heard(dump: Dump | None, base_at: float, at: float) -> Dump:
    """Take in a datagram of a host that is silent since *base_at*."""
    if dump is None or (dump.last_at < base_at and not dump.over):
        return Dump(at, at)
    if dump.over:
        return dump
    return replace(of_this_silence(dump, base_at), last_at=at)


def of_this_silence(dump: Dump, base_at: float) -> Dump:
    """Leave out what was sent before the last answer: it used up nothing of the ceiling."""
    return dump if dump.first_at >= base_at else Dump(dump.last_at, dump.last_at, told=dump.told)


def running(dump: Dump, rules: KdumpRules, now: float) -> bool:
    """Whether it still sends, and the ceiling is not reached."""
    return now < min(dump.last_at + rules.quiet_after_s, dump.first_at + rules.ceiling_s)


def verdict(
    dump: Dump | None, base_at: float, silent_at: float, rules: KdumpRules, now: float
) -> Verdict | None:
    """
    Return the hold of a host with kdump, if there is one.

    Args:
        base_at: Its last answer.
        silent_at: When its grace ended.
    """
    if dump is not None and dump.over:
        return None  # one such wait per silence
    if dump is None or dump.last_at < base_at:
        until_at = silent_at + rules.start_window_s
        reason = "a crash dump may begin"
        return Verdict(HoldName.KDUMP, reason, until_at) if now < until_at else None
    return Verdict(HoldName.KDUMP, "it writes a crash dump", dump.first_at + rules.ceiling_s)
