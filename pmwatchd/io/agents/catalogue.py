"""
What agents say of themselves, by machine and type: asked once, kept for an hour.

The same type may be another version on another machine, so each is asked
where it runs.  A failure is never kept: an agent that was silent is asked
again before its next execution.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pmwatchd.core.metadata import Metadata, MetadataError
from pmwatchd.core.model import Candidate
from pmwatchd.core.orders import Record, Value
from pmwatchd.errors import ProxyError

KEPT_S = 3600.0
"""How long an agent is believed; it may have been upgraded since."""

Ask = Callable[[], Awaitable[Metadata]]
_Key = tuple[str, str, str]
_Answer = Metadata | MetadataError | ProxyError


@dataclass(frozen=True, slots=True)
class _Entry:
    metadata: Metadata
    until: float


class Catalogue:
    """
    The metadata of every agent on every machine that ran it.

    Args:
        tell: Is told when an agent does not describe itself, and what is not sent to it.
        clock: Seconds, monotonic; the event loop's unless given.
    """

    def __init__(
        self, *, tell: Callable[[Record], None], clock: Callable[[], float] | None = None
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._entries: dict[_Key, _Entry] = {}
        self._asking: dict[_Key, asyncio.Future[_Answer]] = {}
        self._refused: set[_Key] = set()
        self._dropped: set[tuple[str, str, str]] = set()

    async def look_up(self, proxy: Candidate, agent_type: str, ask: Ask) -> Metadata | None:
        """
        What an agent on *proxy* said of itself; *ask* is used where that is not known.

        Several who need the same at once ask once.  An agent that is asked
        again after an hour and fails then is believed as before.

        Raises:
            ProxyError: It cannot be asked there, so it cannot be run there.
        """
        key = _key(proxy, agent_type)
        while True:
            entry = self._entries.get(key)
            if entry is not None and self._now() < entry.until:
                return entry.metadata
            asking = self._asking.get(key)
            if asking is None:
                answer = await self._ask(key, ask)
                break
            await asyncio.wait([asking])
            if not asking.cancelled():
                answer = asking.result()
                break
        if isinstance(answer, ProxyError):
            raise ProxyError(answer.result, answer.reason)
        if isinstance(answer, Metadata):
            return answer
        return entry.metadata if entry is not None else None

    def forget(self, proxy: Candidate, agent_type: str) -> None:
        """The agent is not there any more; one that comes back may be another."""
        self._entries.pop(_key(proxy, agent_type), None)

    def tell_dropped(self, proxy: Candidate, agent_type: str, option: str) -> None:
        """Tell once that an option is not sent, because the agent there does not know it."""
        if (proxy.name, agent_type, option) not in self._dropped:
            self._dropped.add((proxy.name, agent_type, option))
            self._tell(_record("agent.option_dropped", proxy.name, agent_type, option=option))

    async def _ask(self, key: _Key, ask: Ask) -> _Answer:
        asking = self._asking[key] = asyncio.get_running_loop().create_future()
        try:
            answer = await _answer(ask)
            self._note(key, answer)
            asking.set_result(answer)
            return answer
        finally:
            del self._asking[key]
            asking.cancel()  # without effect on one that has its result; others ask themselves

    def _note(self, key: _Key, answer: _Answer) -> None:
        if isinstance(answer, Metadata):
            self._entries[key] = _Entry(answer, self._now() + KEPT_S)
            self._refused.discard(key)
        elif isinstance(answer, MetadataError) and key not in self._refused:
            self._refused.add(key)
            self._tell(_record("agent.metadata_refused", key[0], key[2], reason=str(answer)))

    def _now(self) -> float:
        return asyncio.get_running_loop().time() if self._clock is None else self._clock()


async def _answer(ask: Ask) -> _Answer:
    try:
        return await ask()
    except (MetadataError, ProxyError) as error:
        return error


def _key(proxy: Candidate, agent_type: str) -> _Key:
    return (proxy.name, proxy.address, agent_type)


def _record(event: str, proxy: str, agent_type: str, **fields: Value) -> Record:
    return Record(
        event=event, fields={"proxy": proxy, "type": agent_type, **fields}, journalled=False
    )
