"""Addresses that answer unless our own place in the network is ill."""

from __future__ import annotations

from dataclasses import dataclass

from pmwatchd.core.events import CanaryHeard
from pmwatchd.core.model import Heartbeat, Host, Probe, ProbeResult
from pmwatchd.io.heartbeat.beat import Beat, Watched

MISSES = 2
"""So many heartbeats in a row without an answer, and a canary is silent: one may get lost."""


@dataclass(slots=True, eq=False)
class Canary(Watched):
    """
    What is kept of a canary between its heartbeats.

    Attributes:
        well: It answers; None before anything was told.
        misses: Heartbeats in a row without an answer.
    """

    well: bool | None = None
    misses: int = 0

    def conclude(self, beat: Beat, result: ProbeResult, now: float) -> CanaryHeard | None:  # noqa: ARG002 - as hosts do
        """Take the end of a heartbeat; a fault of our own is the very illness that it is for."""
        self.misses = 0 if result is ProbeResult.ALIVE else self.misses + 1
        well = not self.misses
        if well is self.well or 0 < self.misses < MISSES:
            return None
        self.well = well
        return CanaryHeard(self.host.name, well)


def as_host(probe: Probe, *, interval_s: float, timeout_s: float) -> Host:
    """Make what is asked like a host; its name, the probe in words, can be that of no host."""
    heartbeat = Heartbeat(probes=(probe,), interval_s=interval_s, timeout_s=timeout_s)
    return Host(name=probe.words, address=probe.address, heartbeat=heartbeat)
