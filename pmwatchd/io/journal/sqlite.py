"""The journal as the event loop sees it: every call runs in the journal's own thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Self, TypeVar

from pmwatchd.core.orders import SaveHost, SaveOperation, SaveSite, Told
from pmwatchd.io.journal import rows
from pmwatchd.io.journal.files import Replaced
from pmwatchd.io.journal.lock import DirectoryLock
from pmwatchd.io.journal.store import PRUNE_EVERY, Store, Write
from pmwatchd.ports import Entry, Meter, Remembered, Row

T = TypeVar("T")


class SqliteJournal:
    """
    Implements :class:`pmwatchd.ports.Journal` on one SQLite file.

    A cancelled caller loses the answer, never the order of things: the
    thread carries on with what it began and takes the next after it.

    Attributes:
        replaced: The damaged journal that this one took the place of, if there was one.
    """

    def __init__(
        self,
        store: Store,
        thread: ThreadPoolExecutor,
        lock: DirectoryLock,
        meter: Meter,
        replaced: Replaced | None = None,
    ) -> None:
        self.replaced = replaced
        self._store = store
        self._thread = thread
        self._lock = lock
        self._meter = meter
        self._written = 0
        self._closed = False

    @classmethod
    async def open(
        cls, state_dir: Path, *, meter: Meter, accept_empty: bool = False
    ) -> tuple[Self, Remembered]:
        """
        Open ``state_dir/journal.db``, made when it is missing, and read what it knows.

        Args:
            accept_empty: A person's word that a damaged journal may be kept
                aside and an empty one begun; harmless when it is sound.

        Raises:
            JournalLockedError: Another daemon, or another program, has it open.
            JournalCorruptError: It is damaged, and that is not accepted.
            JournalUnwritableError: The state directory or the file cannot be written.
            JournalError: A newer pmwatchd made it.
        """
        lock = DirectoryLock.acquire(state_dir)
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        opening = thread.submit(Store.open, state_dir, accept_empty=accept_empty)
        try:
            store, remembered, replaced = await asyncio.wrap_future(opening)
        except BaseException:
            # A cancelled caller too: what the thread has opened meanwhile is closed in it.
            thread.submit(_discard, opening.result)
            thread.shutdown(wait=True)
            lock.release()
            raise
        return cls(store, thread, lock, meter, replaced), remembered

    async def commit(self, entries: Sequence[Entry]) -> None:
        """
        Make all entries durable in one transaction, or none.

        Records without a sequence are not kept.

        Raises:
            JournalUnwritableError: Nothing of it is durable; a later commit may succeed.
            TypeError: A value is no JSON.
        """
        writes = [write for entry in entries if (write := _write(entry)) is not None]
        if not writes:
            return
        self._meter.commit(await self._run(lambda: self._store.commit(writes)))
        self._written += len(writes)
        if self._written >= PRUNE_EVERY:
            self._written = 0
            self._thread.submit(self._store.prune)

    async def records(
        self,
        *,
        after: int = 0,
        host: str | None = None,
        operation: str | None = None,
        since: datetime | None = None,
        limit: int = 1000,
    ) -> list[Row]:
        """
        Records, ascending: ``sequence, at, event, host, operation``, then their fields.

        Raises:
            JournalError: It cannot be read.
        """
        wanted = {
            "after": after,
            "host": host,
            "operation": operation,
            "since": rows.stamp(since) if since else None,
        }
        return await self._run(lambda: self._store.records(wanted, limit))

    async def operations(
        self,
        *,
        host: str | None = None,
        since: datetime | None = None,
        operation: str | None = None,
        limit: int = 100,
    ) -> list[Row]:
        """
        Operations that are open or ended after *since*, the newest first.

        Raises:
            JournalError: It cannot be read.
        """
        wanted = {
            "host": host,
            "operation": operation,
            "since": rows.stamp(since) if since else None,
        }
        return await self._run(lambda: self._store.operations(wanted, limit))

    async def close(self) -> None:
        """Finish what is under way and let the next daemon in; more than once is fine."""
        if self._closed:
            return
        self._closed = True
        closing = self._thread.submit(self._store.close)
        try:
            await asyncio.shield(asyncio.wrap_future(closing))
        finally:
            self._thread.shutdown(wait=True)
            self._lock.release()

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _write(entry: Entry) -> Write | None:
    match entry.order:
        case Told(sequence=None):
            return None
        case Told() as told:
            return Write("record", rows.of_record(told, entry.at))
        case SaveOperation() as operation:
            return Write("operation", rows.of_operation(operation, entry.at))
        case SaveHost() as host:
            return Write("host", rows.of_host(host))
        case SaveSite() as site:
            return Write("site", rows.of_site(site))


def _discard(opened: Callable[[], tuple[Store, Remembered, Replaced | None]]) -> None:
    with contextlib.suppress(Exception):
        opened()[0].close()
