"""What a person set for the whole site, and how often a host was fenced: kept over restarts."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from importlib import resources
from pathlib import Path

import pytest

from pmwatchd.core.orders import SaveHost, SaveSite
from pmwatchd.errors import JournalCorruptError
from pmwatchd.io.journal import SqliteJournal
from pmwatchd.ports import Entry, Remembered
from tests.kit.damage import kept_aside, overwrite
from tests.kit.journal import NOON, NoMeter, opened, told

SITE = SaveSite(
    paused_until=NOON + timedelta(hours=1),
    paused_for_s=3600.0,
    paused_by="ann",
    paused_reason="switch upgrade",
    override_until=NOON + timedelta(minutes=10),
    override_for_s=600.0,
    override_by="bob",
    override_reason="rack 12 has really burnt",
)
PARKED = SaveHost(host="node1", fenced=3, parked=True, soft_fenced=True)


async def keep(state_dir: Path, *orders: SaveHost | SaveSite) -> Path:
    journal = await opened(state_dir)
    for order in orders:
        await journal.commit([Entry(at=NOON, order=order)])
    await journal.close()
    return state_dir / "journal.db"


async def remembered(state_dir: Path, *, accept_empty: bool = False) -> Remembered:
    journal, known = await SqliteJournal.open(state_dir, meter=NoMeter(), accept_empty=accept_empty)
    await journal.close()
    return known


async def test_a_pause_and_a_storm_override_survive_a_restart(tmp_path: Path) -> None:
    await keep(tmp_path, SITE)

    assert (await remembered(tmp_path)).site == SITE


async def test_what_was_set_last_counts_and_what_was_ended_is_gone(tmp_path: Path) -> None:
    await keep(tmp_path, SITE, SaveSite(override_until=SITE.override_until, override_by="bob"))
    one = (await remembered(tmp_path)).site
    await keep(tmp_path, SaveSite())

    assert one == SaveSite(override_until=SITE.override_until, override_by="bob")
    assert (await remembered(tmp_path)).site == SaveSite()


async def test_an_end_is_kept_as_the_instant_that_it_is_in_every_zone(tmp_path: Path) -> None:
    there = datetime(2026, 11, 21, 22, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    await keep(tmp_path, SaveSite(paused_until=there, paused_by="ann"))

    until = (await remembered(tmp_path)).site.paused_until
    assert until == datetime(2026, 11, 21, 17, 0, tzinfo=UTC)


async def test_words_that_utf_8_cannot_hold_do_not_stop_a_pause(tmp_path: Path) -> None:
    await keep(tmp_path, SaveSite(paused_until=NOON, paused_reason="odd \ud83d"))

    assert (await remembered(tmp_path)).site.paused_reason == "odd \\ud83d"


async def test_a_pause_is_durable_with_the_record_of_it_or_not_at_all(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    with pytest.raises(sqlite3.IntegrityError):
        await journal.commit([Entry(at=NOON, order=SITE), told(1), told(1)])
    await journal.close()

    assert (await remembered(tmp_path)).site == SaveSite()


async def test_a_host_that_was_fenced_too_often_stays_parked_over_a_restart(
    tmp_path: Path,
) -> None:
    await keep(tmp_path, PARKED)

    assert (await remembered(tmp_path)).hosts == {"node1": PARKED}


async def test_a_journal_of_the_version_before_is_brought_up_to_date_and_keeps_its_hosts(
    tmp_path: Path,
) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.db")) as old:
        for script in sorted((resources.files("pmwatchd.io") / "migrations").iterdir(), key=str)[
            :2
        ]:
            old.executescript(script.read_text(encoding="utf-8"))
        old.executescript(
            "INSERT INTO host VALUES "
            "('node1', 'x', 0, 1, 2, 0, '[]', '', 1, 'ann', 'fan', NULL, 0);"
            "UPDATE meta SET epoch = 6; PRAGMA user_version = 2;"
        )

    known = await remembered(tmp_path)

    assert (known.epoch, known.site) == (7, SaveSite())
    assert known.hosts == {
        "node1": SaveHost(
            host="node1",
            fingerprint="x",
            quiet=True,
            failures=2,
            maintenance=True,
            maintenance_by="ann",
            maintenance_reason="fan",
        )
    }


async def test_a_damaged_pause_is_found_at_start_and_never_taken_for_none(tmp_path: Path) -> None:
    overwrite(await keep(tmp_path, SITE), "site")

    with pytest.raises(JournalCorruptError):
        await remembered(tmp_path)

    assert (await remembered(tmp_path, accept_empty=True)).site == SaveSite()
    assert kept_aside(tmp_path)


async def test_a_lost_row_of_the_site_is_damage(tmp_path: Path) -> None:
    path = await keep(tmp_path, SITE)
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("DELETE FROM site")
        other.commit()

    with pytest.raises(JournalCorruptError, match="table site is empty"):
        await remembered(tmp_path)


async def test_damage_to_the_history_alone_leaves_the_pause_in_force(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.commit([told(number) for number in range(1, 2001)])
    await journal.commit([Entry(at=NOON, order=SITE), Entry(at=NOON, order=PARKED)])
    await journal.close()
    overwrite(tmp_path / "journal.db", "record")

    known = await remembered(tmp_path)

    assert kept_aside(tmp_path)
    assert (known.site, known.hosts) == (SITE, {"node1": PARKED})
