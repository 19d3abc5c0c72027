"""A damaged journal: found at start, never hidden, replaced only as far as it must be."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
import time
from pathlib import Path

import pytest

from pmwatchd.core.model import Outcome
from pmwatchd.core.orders import SaveHost
from pmwatchd.errors import JournalCorruptError, JournalError, JournalUnwritableError
from pmwatchd.io.journal import SqliteJournal
from pmwatchd.ports import Entry, Remembered
from tests.kit.damage import kept_aside, overwrite
from tests.kit.journal import NOON, NoMeter, child, opened, operation, sequences, told

MANY = 2000


async def accepted(state_dir: Path) -> tuple[SqliteJournal, Remembered]:
    return await SqliteJournal.open(state_dir, meter=NoMeter(), accept_empty=True)


async def written(state_dir: Path) -> Path:
    """Make a journal with many records and operations, the last operation open."""
    journal = await opened(state_dir)
    await journal.commit([told(number) for number in range(1, MANY + 1)])
    ended = [operation(f"op_{n}", f"node{n}", Outcome.DONE) for n in range(MANY)]
    node = Entry(at=NOON, order=SaveHost(host="node1", left_off=True))
    await journal.commit([*ended, operation("op_open", "node1"), node])
    await journal.close()
    return state_dir / "journal.db"


@pytest.mark.parametrize("content", [b"not a database at all" * 500, b"SQLite format 3\0" * 300])
async def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(content)

    with pytest.raises(JournalCorruptError) as refused:
        await opened(tmp_path)

    assert path.read_bytes() == content
    for word in (str(path), "journal.db-wal", "--accept-empty-journal", "forgotten"):
        assert word in str(refused.value)


async def test_a_file_that_lost_its_content_is_no_new_journal(tmp_path: Path) -> None:
    path = await written(tmp_path)
    path.write_bytes(b"")

    with pytest.raises(JournalCorruptError, match="empty or cut off"):
        await opened(tmp_path)


async def test_a_log_that_lost_its_journal_is_no_new_journal(tmp_path: Path) -> None:
    (tmp_path / "journal.db-wal").write_bytes(b"changes")

    with pytest.raises(JournalCorruptError, match="but no journal"):
        await opened(tmp_path)
    journal, _ = await accepted(tmp_path)

    await journal.close()
    assert [path.read_bytes() for path in kept_aside(tmp_path)] == [b"changes"]


@pytest.mark.parametrize("table", ["operation", "host", "meta", "operation_one_open_per_host"])
async def test_damage_to_what_safety_rests_on_is_found_at_start(tmp_path: Path, table: str) -> None:
    overwrite(await written(tmp_path), table)

    with pytest.raises(JournalCorruptError):
        await opened(tmp_path)
    # What failed to open holds nothing: the lock is free for the next try.
    with pytest.raises(JournalCorruptError):
        await opened(tmp_path)


@pytest.mark.parametrize("rule", ["DELETE FROM meta", "DROP TABLE operation"])
async def test_a_journal_that_lacks_a_part_is_damaged(tmp_path: Path, rule: str) -> None:
    with contextlib.closing(sqlite3.connect(await written(tmp_path))) as other, other:
        other.execute(rule)

    with pytest.raises(JournalCorruptError):
        await opened(tmp_path)


async def test_an_accepted_empty_journal_takes_the_place_and_keeps_the_damaged_one(
    tmp_path: Path,
) -> None:
    path = await written(tmp_path)
    overwrite(path, "operation")
    damaged = path.read_bytes()

    journal, remembered = await accepted(tmp_path)
    replaced = journal.replaced
    await journal.commit([told(remembered.sequence + 1)])
    await journal.close()

    assert replaced is not None
    assert kept_aside(tmp_path) == [replaced.kept]
    assert replaced.kept.read_bytes() == damaged
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "operation" in replaced.lost
    assert remembered.operations == ()
    again = await opened(tmp_path)
    assert await sequences(again) == [remembered.sequence + 1]
    assert again.replaced is None
    await again.close()


async def test_the_log_of_a_damaged_journal_is_kept_beside_it(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"nothing of a database" * 500)
    (tmp_path / "journal.db-wal").write_bytes(b"its log")

    journal, _ = await accepted(tmp_path)
    await journal.commit([told(1)])
    await journal.close()

    main, log = kept_aside(tmp_path)
    assert log.name == f"{main.name}-wal"
    assert log.read_bytes() == b"its log"


async def test_an_empty_journal_in_the_place_of_a_damaged_one_repeats_no_number(
    tmp_path: Path,
) -> None:
    before = int(time.time())
    (tmp_path / "journal.db").write_bytes(b"x")

    journal, remembered = await accepted(tmp_path)
    await journal.close()
    again, later = await accepted(tmp_path)
    await again.close()

    assert remembered.epoch > before
    assert remembered.sequence >= before
    assert later.epoch == remembered.epoch + 1
    assert later.sequence == remembered.sequence


async def test_accepting_an_empty_journal_does_nothing_to_a_sound_one(tmp_path: Path) -> None:
    await written(tmp_path)

    journal, remembered = await accepted(tmp_path)

    assert journal.replaced is None
    assert remembered.epoch == 2
    assert [one.id for one in remembered.operations] == ["op_open"]
    assert len(await sequences(journal)) == MANY
    await journal.close()
    assert kept_aside(tmp_path) == []


async def test_accepting_an_empty_journal_does_not_accept_one_of_a_newer_version(
    tmp_path: Path,
) -> None:
    with contextlib.closing(sqlite3.connect(await written(tmp_path))) as other:
        other.execute("PRAGMA user_version = 1000")

    with pytest.raises(JournalError, match="newer"):
        await accepted(tmp_path)


@pytest.mark.parametrize("part", ["record", "record_by_at"])
async def test_damage_to_the_records_alone_hides_no_open_operation(
    tmp_path: Path, part: str
) -> None:
    path = await written(tmp_path)
    overwrite(path, part)

    journal, remembered = await SqliteJournal.open(tmp_path, meter=NoMeter())

    assert [one.id for one in remembered.operations] == ["op_open"]
    assert remembered.hosts["node1"].left_off
    assert remembered.epoch == 2
    assert remembered.sequence >= MANY
    replaced = journal.replaced
    assert replaced is not None
    assert "records" in replaced.lost
    await journal.commit([told(remembered.sequence + 1), operation("op_open", "node1")])
    assert len(await journal.operations(limit=MANY * 2)) == MANY + 1
    readable = MANY if part == "record_by_at" else 0
    assert await sequences(journal) == [*range(1, readable + 1), remembered.sequence + 1]
    await journal.close()
    assert replaced.kept.exists()


async def test_a_replacement_that_was_cut_short_is_completed_at_the_next_start(
    tmp_path: Path,
) -> None:
    path = await written(tmp_path)
    (tmp_path / "journal.db.building").write_bytes(b"half")
    path.rename(tmp_path / "journal.db.next")
    path.write_bytes(b"the damaged one")

    journal, remembered = await SqliteJournal.open(tmp_path, meter=NoMeter())
    await journal.close()

    assert [one.id for one in remembered.operations] == ["op_open"]
    assert [kept.read_bytes() for kept in kept_aside(tmp_path)] == [b"the damaged one"]


A_DISK_THAT_TAKES_AND_DOES_NOT_KEEP = """
import threading
from pmwatchd.errors import JournalUnwritableError
from tests.kit.seccomp import refuse_sync
async def main():
    journal = await opened(Path(sys.argv[1]))
    await journal.commit([told(1)])
    await journal._run(refuse_sync)
    try:
        await journal.commit([told(2, "x" * 20_000), operation("op_refused", "node1")])
    except JournalUnwritableError as error:
        print("unwritable", flush=True)
    sys.stdin.read()
asyncio.run(main())
"""


async def test_what_was_refused_does_not_come_back_after_a_crash(tmp_path: Path) -> None:
    with child(A_DISK_THAT_TAKES_AND_DOES_NOT_KEEP, tmp_path) as writer:
        assert writer.stdout is not None
        if (said := writer.stdout.readline()) != "unwritable\n":
            writer.communicate()
            pytest.skip(f"needs seccomp on x86-64 ({said!r})")
        writer.kill()

    journal, remembered = await SqliteJournal.open(tmp_path, meter=NoMeter())
    assert await sequences(journal) == [1]
    assert remembered.operations == ()
    await journal.close()


async def test_a_disk_without_room_for_a_new_journal_keeps_the_damaged_one(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"damaged")
    (tmp_path / "journal.db.building").mkdir()

    with pytest.raises(JournalUnwritableError):
        await accepted(tmp_path)

    assert (tmp_path / "journal.db").read_bytes() == b"damaged"
