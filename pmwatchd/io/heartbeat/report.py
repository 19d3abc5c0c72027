"""Collects changes and misses, and hands them on in bulk, a few times a second at most."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

from pmwatchd.core.events import Answered, HeartbeatsHeard, Silent, Unheard

REPORT_S = 0.2


class Report:
    """
    What has not been handed on yet.

    Attributes:
        due_at: When it is to be handed on; infinity while there is nothing.
    """

    def __init__(self, listen: Callable[[HeartbeatsHeard], None]) -> None:
        self._listen = listen
        self._answered: list[Answered] = []
        self._silent: list[Silent] = []
        self._unheard: list[Unheard] = []
        self._hosts: set[str] = set()
        self._told_at = -math.inf
        self.due_at = math.inf

    def add(self, event: Answered | Silent | Unheard, now: float) -> None:
        """Keep *event* until the report is due."""
        if event.host in self._hosts:
            # One report holds one word about a host, or nobody could tell which came last.
            self._hand_on(now)
        self._hosts.add(event.host)
        if isinstance(event, Answered):
            self._answered.append(event)
        elif isinstance(event, Silent):
            self._silent.append(event)
        else:
            self._unheard.append(event)
        self.due_at = min(self.due_at, max(now, self._told_at + REPORT_S))

    def forget(self, hosts: Collection[str]) -> None:
        """What was heard of *hosts* belongs to a definition that is no longer valid."""
        self._answered = [event for event in self._answered if event.host not in hosts]
        self._silent = [event for event in self._silent if event.host not in hosts]
        self._unheard = [event for event in self._unheard if event.host not in hosts]
        self._hosts.difference_update(hosts)

    def tell(self, now: float) -> None:
        """Hand on what there is, if it is due."""
        if now >= self.due_at:
            self._hand_on(now)

    def _hand_on(self, now: float) -> None:
        self.due_at = math.inf
        self._told_at = now
        heard = HeartbeatsHeard(tuple(self._answered), tuple(self._silent), tuple(self._unheard))
        self._answered.clear()
        self._silent.clear()
        self._unheard.clear()
        self._hosts.clear()
        if heard != HeartbeatsHeard():
            self._listen(heard)
