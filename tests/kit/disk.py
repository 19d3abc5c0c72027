"""Disks that fail for a while: full, limited, or turned read-only by their file system."""

from __future__ import annotations

import errno
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from tests.kit.daemon import Daemon
from tests.kit.parts import program
from tests.kit.waiting import eventually

_SIZE = 16 * 1024 * 1024


class FailingDisk(Protocol):
    """Where a daemon keeps its journal."""

    def spoil(self, daemon: Daemon) -> None:
        """Let it take nothing more."""
        ...

    def mend(self, daemon: Daemon) -> None:
        """Let it be well again."""
        ...

    def close(self) -> None:
        """Take it away."""
        ...


def _mount(*arguments: object) -> None:
    made = subprocess.run(
        ["mount", *map(str, arguments)], check=False, capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"needs root, to mount a small file system ({made.stderr.strip()})")


@dataclass(slots=True)
class FullDisk:
    """A small file system that somebody else fills to the last byte."""

    mount: Path

    def __post_init__(self) -> None:
        self.mount.mkdir()
        _mount("-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", self.mount)

    def spoil(self, daemon: Daemon) -> None:  # noqa: ARG002 - it hits everybody
        with (self.mount / "ballast").open("wb", buffering=0) as ballast:
            for size in (65536, 4096, 1):
                try:
                    while ballast.write(bytes(size)):
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def mend(self, daemon: Daemon) -> None:  # noqa: ARG002 - it hits everybody
        (self.mount / "ballast").unlink()

    def close(self) -> None:
        subprocess.run(["umount", self.mount], check=True)


@dataclass(slots=True)
class FailingWrites:
    """A disk on which no file of the daemon can grow; needs no rights."""

    state_dir: Path

    def spoil(self, daemon: Daemon) -> None:
        size = (self.state_dir / "journal.db-wal").stat().st_size
        if daemon.log.stat().st_size > size // 2:
            raise RuntimeError("the limit would hit the log of the daemon as well")
        self._limit(daemon, size)

    def mend(self, daemon: Daemon) -> None:
        self._limit(daemon, resource.RLIM_INFINITY)

    def close(self) -> None: ...

    def _limit(self, daemon: Daemon, size: int) -> None:
        if daemon.process is None:
            raise RuntimeError("the daemon does not run")
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@dataclass(slots=True)
class AbortedDisk:
    """A file system that found an error in itself: read-only until it is mounted anew."""

    mount: Path

    def __post_init__(self) -> None:
        if program("mkfs.ext4") is None:
            pytest.skip("needs mkfs.ext4 (apt install e2fsprogs)")
        image = self._image
        image.write_bytes(bytes(_SIZE))
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
        self.mount.mkdir()
        _mount("-o", "loop", image, self.mount)

    @property
    def _image(self) -> Path:
        return self.mount.with_suffix(".img")

    def spoil(self, daemon: Daemon) -> None:  # noqa: ARG002 - it hits everybody
        _mount("-o", "remount,abort", self.mount)

    def mend(self, daemon: Daemon) -> None:
        """End the daemon, repair the file system and mount it again."""
        daemon.kill()
        self.close()
        # The kernel lets go of the image a moment later; mounted before that it is as it was.
        eventually(lambda: not self._is_attached(), within_s=20, what="the loop device is free")
        subprocess.run(["fsck.ext4", "-f", "-y", self._image], check=False, capture_output=True)
        _mount("-o", "loop", self._image, self.mount)

    def _is_attached(self) -> bool:
        for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
            try:
                attached = Path(backing.read_text(encoding="utf-8").strip())
            except OSError:  # detached just now
                continue
            if attached == self._image:
                return True
        return False

    def close(self) -> None:
        subprocess.run(["umount", self.mount], check=True)
