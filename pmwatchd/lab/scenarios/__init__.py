"""
What can be played: one file for each kind of trouble.

First the plays in which a host is dead and must be fenced, then those in which
it must not be, or not yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pmwatchd.lab.scenarios import death
from pmwatchd.lab.scenarios.dump import KDUMP
from pmwatchd.lab.scenarios.loop import LOOP
from pmwatchd.lab.scenarios.maintenance import MAINTENANCE
from pmwatchd.lab.scenarios.outage import NETWORK_OUTAGE
from pmwatchd.lab.scenarios.stage import Scenario
from pmwatchd.lab.scenarios.witness import WITNESS

SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "dead-host": death.DEAD_HOST,
        "secondary": death.SECONDARY,
        "dual-power": death.DUAL_POWER,
        "proxy-lost": death.PROXY_LOST,
        "crash": death.CRASH,
        "network-outage": NETWORK_OUTAGE,
        "witness": WITNESS,
        "kdump": KDUMP,
        "loop": LOOP,
        "maintenance": MAINTENANCE,
    }
)
