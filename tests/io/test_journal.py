"""The journal on real SQLite files: what is kept, and how it is read back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from pmwatchd.core.model import Action, Cause, Outcome, ProbeResult
from pmwatchd.core.orders import Record, SaveHost, SaveOperation, Told, Value
from pmwatchd.io.journal import SqliteJournal, store
from pmwatchd.ports import Entry, Remembered

NOON = datetime(2026, 11, 21, 12, 0, 0, 250, tzinfo=UTC)


class CommitTimes:
    def __init__(self) -> None:
        self.commits: list[float] = []

    def heartbeat(self, result: ProbeResult, took_s: float) -> None: ...

    def start_delay(self, late_s: float) -> None: ...

    def commit(self, took_s: float) -> None:
        self.commits.append(took_s)

    def connected(self, proxies: int) -> None: ...


@pytest.fixture
def meter() -> CommitTimes:
    return CommitTimes()


@pytest.fixture
async def journal(tmp_path: Path, meter: CommitTimes) -> AsyncIterator[SqliteJournal]:
    opened, _ = await SqliteJournal.open(tmp_path, meter=meter)
    yield opened
    await opened.close()


async def reopened(tmp_path: Path) -> Remembered:
    journal, remembered = await SqliteJournal.open(tmp_path, meter=CommitTimes())
    await journal.close()
    return remembered


def told(
    sequence: int | None,
    event: str = "watch.answered",
    *,
    host: str | None = None,
    operation: str | None = None,
    at: datetime = NOON,
    **fields: Value,
) -> Entry:
    record = Record(event=event, host=host, operation=operation, fields=fields)
    return Entry(at=at, order=Told(record, at, sequence))


def operation(
    name: str = "op_1",
    *,
    host: str = "node1",
    outcome: Outcome | None = None,
    at: datetime = NOON,
    **document: object,
) -> Entry:
    order = SaveOperation(
        id=name,
        host=host,
        action=Action.RESTART,
        cause=Cause.AUTOMATIC,
        reason="silent",
        by="",
        outcome=outcome,
        document=document,
    )
    return Entry(at=at, order=order)


async def test_a_new_journal_remembers_nothing_but_its_first_opening(tmp_path: Path) -> None:
    assert await reopened(tmp_path) == Remembered(epoch=1, sequence=0)


async def test_the_epoch_grows_with_every_opening(tmp_path: Path) -> None:
    assert [(await reopened(tmp_path)).epoch for _ in range(3)] == [1, 2, 3]


async def test_a_record_is_read_back_flat(journal: SqliteJournal) -> None:
    await journal.commit(
        [told(7, "fence.opened", host="node1", operation="op_1", chain=("a", "b"), took_s=1.5)]
    )

    assert await journal.records() == [
        {
            "sequence": 7,
            "at": "2026-11-21T12:00:00.000250Z",
            "event": "fence.opened",
            "host": "node1",
            "operation": "op_1",
            "chain": ["a", "b"],
            "took_s": 1.5,
        }
    ]


async def test_a_field_cannot_replace_what_the_record_itself_says(journal: SqliteJournal) -> None:
    await journal.commit([told(1, host="node1", sequence_of="x", at_="y", event_="z")])
    await journal.commit(
        [
            Entry(
                at=NOON,
                order=Told(Record(event="api.command", fields={"sequence": 99}), NOON, 2),
            )
        ]
    )

    assert [row["sequence"] for row in await journal.records()] == [1, 2]


async def test_times_are_kept_in_utc(journal: SqliteJournal) -> None:
    await journal.commit([told(1, at=NOON.astimezone(timezone(timedelta(hours=5))))])

    assert (await journal.records())[0]["at"] == "2026-11-21T12:00:00.000250Z"


async def test_a_time_without_a_zone_is_refused(journal: SqliteJournal) -> None:
    with pytest.raises(ValueError, match="time zone"):
        await journal.commit([told(1, at=NOON.replace(tzinfo=None))])


async def test_records_are_found_by_number_host_operation_and_time(journal: SqliteJournal) -> None:
    later = NOON + timedelta(hours=1)
    await journal.commit(
        [
            told(1, host="node1"),
            told(2, host="node2", operation="op_2"),
            told(3, host="node1", operation="op_1", at=later),
            told(4),
        ]
    )

    async def found(**wanted: object) -> list[object]:
        return [row["sequence"] for row in await journal.records(**wanted)]  # type: ignore[arg-type]  # keywords pass through

    assert await found() == [1, 2, 3, 4]
    assert await found(after=2) == [3, 4]
    assert await found(host="node1") == [1, 3]
    assert await found(operation="op_2") == [2]
    assert await found(since=later) == [3]
    assert await found(host="node1", after=1) == [3]
    assert await found(limit=2) == [1, 2]


async def test_a_record_without_a_number_is_not_kept(
    journal: SqliteJournal, meter: CommitTimes
) -> None:
    await journal.commit([told(None)])

    assert await journal.records() == []
    assert meter.commits == []


async def test_every_commit_is_measured(journal: SqliteJournal, meter: CommitTimes) -> None:
    await journal.commit([told(1), told(2)])
    await journal.commit([told(3)])

    assert len(meter.commits) == 2
    assert all(took_s > 0 for took_s in meter.commits)


async def test_words_of_every_script_are_kept(journal: SqliteJournal) -> None:
    words = "Ωмега 主機 🔌 \x00 line\nbreak '; DROP TABLE record; --"
    await journal.commit([told(1, reason=words)])

    assert (await journal.records())[0]["reason"] == words


async def test_half_a_surrogate_pair_stops_nothing(journal: SqliteJournal) -> None:
    saved = SaveHost(host="node1", maintenance=True, maintenance_reason="odd \ud83d")
    await journal.commit([Entry(at=NOON, order=saved), told(1, reason="odd \ud83d")])

    assert (await journal.records())[0]["reason"] == "odd \ud83d"


async def test_what_is_no_json_is_refused_before_anything_is_written(
    journal: SqliteJournal,
) -> None:
    for value in (object(), float("nan"), b"bytes", {1, 2}):
        with pytest.raises(TypeError):
            await journal.commit([told(1), operation(value=value)])

    assert await journal.records() == []


async def test_an_open_operation_is_remembered_with_its_last_step(tmp_path: Path) -> None:
    journal, _ = await SqliteJournal.open(tmp_path, meter=CommitTimes())
    await journal.commit([operation(step="off", turn=1), told(1)])
    await journal.commit([operation(step="on", turn=2, agents=["bmc"]), told(2)])
    await journal.close()

    remembered = await reopened(tmp_path)

    assert remembered.sequence == 2
    assert remembered.operations == (
        SaveOperation(
            id="op_1",
            host="node1",
            action=Action.RESTART,
            cause=Cause.AUTOMATIC,
            reason="silent",
            by="",
            outcome=None,
            document={"step": "on", "turn": 2, "agents": ["bmc"]},
        ),
    )


async def test_an_operation_that_ended_is_not_continued(tmp_path: Path) -> None:
    journal, _ = await SqliteJournal.open(tmp_path, meter=CommitTimes())
    await journal.commit([operation()])
    await journal.commit([operation(outcome=Outcome.DONE)])
    await journal.close()

    assert (await reopened(tmp_path)).operations == ()


async def test_an_operation_keeps_when_it_was_opened_and_when_it_ended(
    journal: SqliteJournal,
) -> None:
    end = NOON + timedelta(minutes=2)
    await journal.commit([operation()])
    await journal.commit([operation(at=NOON + timedelta(minutes=1), step="off")])
    await journal.commit([operation(outcome=Outcome.DEGRADED, at=end)])
    await journal.commit([operation(outcome=Outcome.DEGRADED, at=end + timedelta(minutes=1))])

    assert await journal.operations() == [
        {
            "id": "op_1",
            "host": "node1",
            "action": "restart",
            "cause": "automatic",
            "by": "",
            "reason": "silent",
            "opened_at": "2026-11-21T12:00:00.000250Z",
            "closed_at": "2026-11-21T12:02:00.000250Z",
            "outcome": "degraded",
        }
    ]


async def test_operations_are_listed_newest_first_even_if_the_wall_clock_went_back(
    journal: SqliteJournal,
) -> None:
    await journal.commit([operation("op_1", outcome=Outcome.DONE)])
    await journal.commit([operation("op_2", at=NOON - timedelta(days=1), outcome=Outcome.DONE)])
    await journal.commit([operation("op_3", host="node2")])

    async def found(**wanted: object) -> list[object]:
        return [row["id"] for row in await journal.operations(**wanted)]  # type: ignore[arg-type]  # keywords pass through

    assert await found() == ["op_3", "op_2", "op_1"]
    assert await found(host="node1") == ["op_2", "op_1"]
    assert await found(operation="op_2") == ["op_2"]
    assert await found(limit=1) == ["op_3"]
    assert await found(since=NOON) == ["op_3", "op_1"]


async def test_a_host_is_remembered_as_it_was_saved_last(tmp_path: Path) -> None:
    journal, _ = await SqliteJournal.open(tmp_path, meter=CommitTimes())
    last = SaveHost(
        host="node1",
        fingerprint="10.0.0.1|tcp://10.0.0.1:22/",
        booting=True,
        quiet=True,
        failures=2,
        left_off=True,
        missing=("10.0.1.1/1", "10.0.1.1/2"),
        given_up=("10.0.1.1/2",),
        maintenance=True,
        maintenance_by="root",
        maintenance_reason="new fan",
        expires_at=NOON,
        maintenance_for_s=600.0,
    )
    await journal.commit([Entry(at=NOON, order=SaveHost(host="node1"))])
    await journal.commit([Entry(at=NOON, order=last), Entry(at=NOON, order=SaveHost(host="n2"))])
    await journal.close()

    assert (await reopened(tmp_path)).hosts == {"node1": last, "n2": SaveHost(host="n2")}


async def test_old_history_is_dropped_but_never_the_newest_record_nor_an_open_operation(
    tmp_path: Path,
) -> None:
    long_ago = NOON - store.KEEP_FOR - timedelta(days=1)
    journal, _ = await SqliteJournal.open(tmp_path, meter=CommitTimes())
    await journal.commit([told(1, at=long_ago), told(2, at=NOON), told(3, at=NOON)])
    await journal.commit([operation("op_old", at=long_ago, outcome=Outcome.DONE)])
    await journal.commit([operation("op_new", outcome=Outcome.DONE)])
    await journal.commit([operation("op_open", at=long_ago)])
    await journal.close()

    journal, remembered = await SqliteJournal.open(tmp_path, meter=CommitTimes())
    kept = [row["sequence"] for row in await journal.records()]
    operations = [row["id"] for row in await journal.operations()]
    await journal.close()

    assert kept == [2, 3]
    assert operations == ["op_open", "op_new"]
    assert remembered.sequence == 3


async def test_no_more_than_a_million_records_are_kept(tmp_path: Path) -> None:
    journal, _ = await SqliteJournal.open(tmp_path, meter=CommitTimes())
    await journal.commit([told(1), told(2), told(store.KEEP_ROWS + 1)])
    await journal.close()

    journal, _ = await SqliteJournal.open(tmp_path, meter=CommitTimes())
    kept = [row["sequence"] for row in await journal.records()]
    await journal.close()

    assert kept == [2, store.KEEP_ROWS + 1]


async def test_a_journal_that_is_never_closed_is_pruned_while_it_is_written(
    journal: SqliteJournal,
) -> None:
    long_ago = NOON - store.KEEP_FOR - timedelta(days=1)
    await journal.commit([told(1, at=long_ago)])
    await journal.commit([told(number) for number in range(2, store.PRUNE_EVERY + 2)])

    assert (await journal.records(limit=1))[0]["sequence"] == 2
