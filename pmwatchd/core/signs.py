"""
Many signs, one heartbeat: how the results of a host's probes are combined.

A local fault is ours and proves nothing about the host, so it can hide
silence, and never an answer that was asked for and came.
"""

from __future__ import annotations

from collections.abc import Collection

from pmwatchd.core.model import Heartbeat, ProbeResult, ProbeType


def combine(
    results: Collection[ProbeResult], *, pending: int = 0, require_all: bool
) -> ProbeResult | None:
    """
    The result of one heartbeat, or None while a probe that is still open can change it.

    Any alive probe is enough, unless *require_all*: then one silent probe
    makes the heartbeat silent.  A heartbeat that asked nothing heard nothing,
    which is our own fault.
    """
    deciding = ProbeResult.SILENT if require_all else ProbeResult.ALIVE
    if deciding in results:
        return deciding
    if pending:
        return None
    if not results or ProbeResult.LOCAL_FAULT in results:
        return ProbeResult.LOCAL_FAULT
    return ProbeResult.ALIVE if require_all else ProbeResult.SILENT


def wants_words(heartbeat: Heartbeat) -> bool:
    """Whether a probe asks for words, so that a refusal, an echo or a bare accept is weak."""
    return any(probe.type in (ProbeType.SSH, ProbeType.HTTP) for probe in heartbeat.probes)
