"""
Fence agents: what they say of themselves, and their execution on one machine.

``catalogue`` keeps what each agent said on each machine, ``execution`` runs
one and finds out what that proved.
"""

from pmwatchd.io.agents.catalogue import Catalogue
from pmwatchd.io.agents.execution import FenceAgents

__all__ = ["Catalogue", "FenceAgents"]
