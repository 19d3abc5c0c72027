"""
What one probe brought, and how errors of the system are read.

The border between the kernel's error numbers and the three words that the
core knows.  An error that is not listed here is ours: what is not understood
proves neither life nor silence.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from pmwatchd.core.model import ProbeResult


@dataclass(frozen=True, slots=True)
class Sign:
    """
    The end of one probe.

    Attributes:
        fault: Which local fault it was, a short word; empty for alive and silent.
        weak: It is a sign of life that a hung kernel or a firewall gives as well.
    """

    result: ProbeResult
    fault: str = ""
    weak: bool = False


ALIVE = Sign(ProbeResult.ALIVE)
WEAK = Sign(ProbeResult.ALIVE, weak=True)
SILENT = Sign(ProbeResult.SILENT)


def local_fault(kind: str) -> Sign:
    """A fault of this machine or this process."""
    return Sign(ProbeResult.LOCAL_FAULT, kind)


# Somebody at the address said no, or hung up: that takes somebody alive.
_ANSWERS = frozenset({errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE})
_SILENCES = frozenset({errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.EHOSTDOWN})
_FAULTS = {
    errno.EMFILE: "no_descriptors",
    errno.ENFILE: "no_descriptors",
    errno.ENOBUFS: "no_buffers",
    errno.ENOMEM: "no_buffers",
    errno.EADDRNOTAVAIL: "no_local_address",
    errno.ENETUNREACH: "no_route",
    errno.ENETDOWN: "no_route",
    errno.EAFNOSUPPORT: "no_route",
    errno.EPERM: "not_permitted",
    errno.EACCES: "not_permitted",
}


def of_error(number: int) -> Sign:
    """Read an error that came back from the network."""
    if number in _ANSWERS:
        return WEAK
    if number in _SILENCES:
        return SILENT
    return _fault_of(number)


def of_refusal(number: int) -> Sign:
    """
    Read an error that our own system gave at once, before anything was sent.

    ``EHOSTUNREACH`` is then a line of our own routing table and says nothing
    about the host; a refusal at once is that of a host on this machine.
    """
    if number in _ANSWERS:
        return WEAK
    return local_fault("no_route") if number == errno.EHOSTUNREACH else _fault_of(number)


def _fault_of(number: int) -> Sign:
    return local_fault(_FAULTS.get(number) or errno.errorcode.get(number, "unknown").lower())
