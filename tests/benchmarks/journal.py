"""What a commit costs: ``journal.py [DIRECTORY]`` prints one JSON object."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from pmwatchd.core.model import ProbeResult
from pmwatchd.core.orders import Record, Told, Value
from pmwatchd.io.journal import SqliteJournal
from pmwatchd.ports import Entry

SINGLE_COMMITS = 2_000
GROUPED_ROWS = 50_000
GROUP = 500


class _NoMeter:
    def heartbeat(self, result: ProbeResult, took_s: float) -> None: ...

    def start_delay(self, late_s: float) -> None: ...

    def commit(self, took_s: float) -> None: ...

    def connected(self, proxies: int) -> None: ...


def _entry(sequence: int) -> Entry:
    at = datetime.now(UTC)
    fields: dict[str, Value] = {
        "agent": "bmc",
        "proxy": "node2",
        "action": "status",
        "result": "ok",
        "took_s": 0.06,
    }
    record = Record(event="fence.agent_executed", host="node1", operation="op_1", fields=fields)
    return Entry(at=at, order=Told(record, at, sequence))


async def _measure(directory: Path) -> dict[str, float]:
    journal, remembered = await SqliteJournal.open(directory, meter=_NoMeter())
    sequence = remembered.sequence
    began = time.perf_counter()
    for _ in range(SINGLE_COMMITS):
        sequence += 1
        await journal.commit([_entry(sequence)])
    single_s = time.perf_counter() - began

    began = time.perf_counter()
    for _ in range(GROUPED_ROWS // GROUP):
        group = [_entry(sequence + n) for n in range(1, GROUP + 1)]
        sequence += GROUP
        await journal.commit(group)
    grouped_s = time.perf_counter() - began

    await journal.close()
    return {
        "commits_per_s_single": round(SINGLE_COMMITS / single_s),
        "rows_per_s_grouped": round(GROUPED_ROWS / grouped_s),
        "group": GROUP,
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as made:
        print(json.dumps(asyncio.run(_measure(Path(made)))))  # noqa: T201  # its output is its purpose
