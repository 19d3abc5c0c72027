"""The journal on a disk that is full, read-only or limited."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmwatchd.core.model import Outcome
from pmwatchd.errors import JournalUnwritableError
from tests.kit.journal import child, opened, operation, sequences, told


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mount], check=False, capture_output=True
    )
    if made.returncode:
        pytest.skip("needs root, to mount a small file system")
    yield mount
    subprocess.run(["umount", mount], check=True)


async def test_a_full_disk_loses_nothing_and_is_used_again_when_it_has_room(
    small_disk: Path,
) -> None:
    ballast = small_disk / "ballast"
    journal = await opened(small_disk)
    await journal.commit([told(1), operation("op_1", "node1")])
    with pytest.raises(OSError, match="No space"):
        ballast.write_bytes(bytes(2 * 1024 * 1024))

    for _ in range(3):
        with pytest.raises(JournalUnwritableError, match=r"full.*Check free space"):
            await journal.commit([told(2, "x" * 100_000), told(3)])
    assert await sequences(journal) == [1]

    ballast.unlink()
    await journal.commit([told(2), operation("op_1", "node1", Outcome.DONE)])
    assert await sequences(journal) == [1, 2]
    await journal.close()
    assert [row["outcome"] for row in await _operations(small_disk)] == ["done"]


async def test_a_disk_that_turned_read_only_is_reported_and_used_again(small_disk: Path) -> None:
    journal = await opened(small_disk)
    await journal.close()
    _remount(small_disk, "ro")

    with pytest.raises(JournalUnwritableError, match="cannot be"):
        await opened(small_disk)

    _remount(small_disk, "rw")
    await (await opened(small_disk)).close()


def _remount(mount: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", mount], check=True)


async def _operations(state_dir: Path) -> list[dict[str, object]]:
    journal = await opened(state_dir)
    found = [dict(row) for row in await journal.operations()]
    await journal.close()
    return found


FILES_MAY_NOT_GROW = """
import resource
from pmwatchd.errors import JournalUnwritableError
async def main():
    journal = await opened(Path(sys.argv[1]))
    await journal.commit([told(1)])
    size = (Path(sys.argv[1]) / "journal.db-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 8192, resource.RLIM_INFINITY))
    for _ in range(3):
        try:
            await journal.commit([told(2, "x" * 200_000)])
        except JournalUnwritableError as error:
            print("unwritable", flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    await journal.commit([told(2)])
    print(await sequences(journal))
    await journal.close()
asyncio.run(main())
"""


def test_a_failed_write_is_rolled_back_and_later_commits_succeed(tmp_path: Path) -> None:
    with child(FILES_MAY_NOT_GROW, tmp_path) as writer:
        said, _ = writer.communicate()

    assert said.splitlines() == ["unwritable", "unwritable", "unwritable", "[1, 2]"]
