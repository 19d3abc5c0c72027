"""What tests put into a journal, and a second process that does the same."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from pmwatchd.core.model import Action, Cause, Outcome, ProbeResult
from pmwatchd.core.orders import Record, SaveOperation, Told
from pmwatchd.io.journal import SqliteJournal
from pmwatchd.ports import Entry

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class NoMeter:
    """Counts nothing."""

    def heartbeat(self, result: ProbeResult, took_s: float) -> None: ...

    def start_delay(self, late_s: float) -> None: ...

    def commit(self, took_s: float) -> None: ...

    def connected(self, proxies: int) -> None: ...


def told(sequence: int, text: str = "") -> Entry:
    record = Record(event="api.command", fields={"reason": text})
    return Entry(at=NOON, order=Told(record, NOON, sequence))


def operation(name: str, host: str, outcome: Outcome | None = None) -> Entry:
    order = SaveOperation(
        id=name,
        host=host,
        action=Action.OFF,
        cause=Cause.PERSON,
        reason="test",
        by="root",
        outcome=outcome,
        document={"step": "off"},
    )
    return Entry(at=NOON, order=order)


async def opened(state_dir: Path) -> SqliteJournal:
    journal, _ = await SqliteJournal.open(state_dir, meter=NoMeter())
    return journal


async def sequences(journal: SqliteJournal) -> list[object]:
    return [row["sequence"] for row in await journal.records(limit=1_000_000)]


def child(program: str, state_dir: Path) -> subprocess.Popen[str]:
    """Run *program* in a process of its own, after an import of everything here."""
    preamble = "import asyncio, sys\nfrom tests.kit.journal import *\n"
    return subprocess.Popen(
        [sys.executable, "-c", preamble + program, str(state_dir)],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
