"""The journal when things go wrong: crashes, damage, a second daemon, cancelled callers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import stat
from pathlib import Path

import pytest

from pmwatchd.core.model import Outcome
from pmwatchd.errors import (
    JournalError,
    JournalLockedError,
    JournalUnwritableError,
)
from pmwatchd.io.journal import SqliteJournal
from tests.kit.journal import NoMeter, child, opened, operation, sequences, told

COMMITS_FOR_EVER = """
async def main():
    journal = await opened(Path(sys.argv[1]))
    for number in range(1, 100_000):
        await journal.commit([told(number), operation(f"op_{number}", f"node{number}")])
        print(number, flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("after", [1, 40, 300])
async def test_everything_acknowledged_survives_kill_9_in_the_middle_of_commits(
    tmp_path: Path, after: int
) -> None:
    with child(COMMITS_FOR_EVER, tmp_path) as writer:
        assert writer.stdout is not None
        for _ in range(after):
            assert writer.stdout.readline()
        writer.kill()
        acknowledged = after + len(writer.stdout.read().splitlines())

    journal, remembered = await SqliteJournal.open(tmp_path, meter=NoMeter())
    kept = await sequences(journal)
    await journal.close()

    # The commit that the kill met may be there as well; whole, or not at all.
    assert len(kept) in (acknowledged, acknowledged + 1)
    assert kept == list(range(1, len(kept) + 1))
    assert [one.id for one in remembered.operations] == [f"op_{number}" for number in kept]
    assert remembered.sequence == len(kept)


HOLDS_IT_OPEN = """
async def main():
    journal = await opened(Path(sys.argv[1]))
    print("open", flush=True)
    sys.stdin.read()
    await journal.close()
asyncio.run(main())
"""


async def test_a_second_daemon_is_told_who_has_the_journal(tmp_path: Path) -> None:
    with child(HOLDS_IT_OPEN, tmp_path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(JournalLockedError, match=rf"process {holder.pid}\b.*Stop that one"):
            await opened(tmp_path)
        holder.communicate()

    assert holder.returncode == 0
    await (await opened(tmp_path)).close()


async def test_a_second_opener_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    journal = await opened(tmp_path)

    with pytest.raises(JournalLockedError, match=str(os.getpid())):
        await opened(tmp_path)
    await journal.commit([told(1)])
    await journal.close()


async def test_a_killed_daemon_leaves_no_lock_behind(tmp_path: Path) -> None:
    with child(HOLDS_IT_OPEN, tmp_path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        holder.send_signal(signal.SIGKILL)

    await (await opened(tmp_path)).close()


async def test_no_foreign_program_reads_or_writes_while_the_daemon_runs(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.commit([told(1)])

    with (
        pytest.raises(sqlite3.OperationalError, match="locked"),
        _foreign(tmp_path / "journal.db") as other,
    ):
        other.execute("SELECT count(*) FROM record")
    await journal.close()


async def test_a_foreign_program_that_has_the_file_open_is_named_as_the_reason(
    tmp_path: Path,
) -> None:
    await (await opened(tmp_path)).close()
    with _foreign(tmp_path / "journal.db") as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalLockedError, match="another program"):
            await opened(tmp_path)
    await (await opened(tmp_path)).close()


def _foreign(path: Path) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None))


async def test_the_state_directory_is_made_for_the_daemon_alone(tmp_path: Path) -> None:
    state_dir = tmp_path / "var" / "pmwatchd"
    journal = await opened(state_dir)
    await journal.commit([told(1)])

    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700
    for file in state_dir.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    await journal.close()


async def test_a_state_directory_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")

    with pytest.raises(JournalUnwritableError, match=r"file.pmwatchd.*Create it"):
        await opened(tmp_path / "file" / "pmwatchd")


async def test_a_journal_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    await (await opened(tmp_path)).close()
    with _foreign(tmp_path / "journal.db") as other:
        other.execute("PRAGMA user_version = 1000")

    with pytest.raises(JournalError, match=r"newer pmwatchd.*Install that version"):
        await opened(tmp_path)


async def test_a_second_open_operation_of_a_host_is_a_bug_and_nothing_of_it_is_kept(
    tmp_path: Path,
) -> None:
    journal = await opened(tmp_path)
    await journal.commit([operation("op_1", "node1")])

    with pytest.raises(sqlite3.IntegrityError):
        await journal.commit([told(1), operation("op_2", "node1")])
    assert await sequences(journal) == []

    await journal.commit([operation("op_1", "node1", Outcome.DONE), operation("op_2", "node1")])
    await journal.close()


async def test_an_operation_that_ended_is_never_opened_again(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.commit([operation("op_1", "node1", Outcome.DONE)])

    with pytest.raises(sqlite3.IntegrityError, match="not opened again"):
        await journal.commit([operation("op_1", "node1")])
    await journal.close()


async def test_a_cancelled_commit_is_whole_or_absent_and_the_next_one_works(
    tmp_path: Path,
) -> None:
    journal = await opened(tmp_path)
    number = 0
    for _ in range(30):
        batch = [told(number + n) for n in range(1, 21)]
        number += 20
        task = asyncio.create_task(journal.commit(batch))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await journal.commit([told(number + 1)])

    kept = await sequences(journal)
    await journal.close()
    assert kept[-1] == number + 1
    assert len(kept) % 20 == 1


async def test_a_cancelled_opening_leaves_the_journal_free(tmp_path: Path) -> None:
    task = asyncio.create_task(opened(tmp_path))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await (await opened(tmp_path)).close()


async def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    journal = await opened(tmp_path)

    await journal.close()
    await journal.close()
