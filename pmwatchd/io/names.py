"""
All addresses of a name: whether two names are one device depends on them.

The system's resolver is asked in threads, a few at a time, and again now and
then in the background.  What was known stays in use while that fails: a
broken name server must not make two devices out of one.  (Heartbeats have a
resolver of their own: they need one address to send to, and never wait.)
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

AT_ONCE_MAX = 8
"""Look-ups at a time: a name server that hangs blocks nobody else's threads."""
REFRESH_S = 300.0
RETRY_S = 10.0


@dataclass(slots=True)
class _Known:
    """
    What is known of a name.

    Attributes:
        look_up: The one under way.
        began_at: When it, or the last one, began.
    """

    addresses: frozenset[str] = frozenset()
    look_up: asyncio.Future[frozenset[str]] | None = None
    began_at: float = 0.0
    ask_again_at: float = 0.0


class SystemNames:
    """
    Asks the system's resolver; a :class:`pmwatchd.ports.Names`.

    Args:
        clock: Seconds, monotonic.
        ask: Finds the addresses of a name, blocking; raises OSError or UnicodeError.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        ask: Callable[[str], frozenset[str]] | None = None,
    ) -> None:
        self._clock = clock
        self._ask = _ask if ask is None else ask
        self._threads = ThreadPoolExecutor(AT_ONCE_MAX, thread_name_prefix="names")
        self._known: dict[str, _Known] = {}

    async def addresses(self, name: str, *, within_s: float | None) -> frozenset[str]:
        """Return all addresses of *name*; see :class:`pmwatchd.ports.Names`."""
        known = self._known.setdefault(name, _Known())
        if known.look_up is None and self._clock() >= known.ask_again_at:
            self._begin(name, known)
        if known.look_up is not None and not known.addresses:
            left_s = None if within_s is None else known.began_at + within_s - self._clock()
            if left_s is None or left_s > 0:
                await asyncio.wait([known.look_up], timeout=left_s)
        return known.addresses

    def close(self) -> None:
        """Want nothing any more."""
        for known in self._known.values():
            if known.look_up is not None:
                known.look_up.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self, name: str, known: _Known) -> None:
        def learn(look_up: asyncio.Future[frozenset[str]]) -> None:
            known.look_up = None
            known.ask_again_at = self._clock() + RETRY_S
            # a name that cannot be encoded cannot be asked for
            with suppress(OSError, UnicodeError, asyncio.CancelledError):
                known.addresses = look_up.result()
                known.ask_again_at = self._clock() + REFRESH_S

        known.began_at = self._clock()
        known.look_up = asyncio.get_running_loop().run_in_executor(self._threads, self._ask, name)
        known.look_up.add_done_callback(learn)


def _ask(name: str) -> frozenset[str]:
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return frozenset(str(where[0]) for *_, where in found)
