"""A wall clock of the daemon's own, by libfaketime: it can be set while the daemon runs."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from tests.kit.daemon import Daemon
from tests.kit.parts import program

_SHARED = Path("/dev/shm")  # noqa: S108 - where libfaketime keeps what its processes share


@dataclass(slots=True)
class FakeClock:
    """
    The wall clock of one daemon; its other clocks stay true, and so does everybody else's.

    Attributes:
        file: What the clock is off by, read by libfaketime whenever somebody asks for the time.
    """

    daemon: Daemon
    file: Path
    _pids: list[int] = field(default_factory=list)

    def start(self) -> None:
        """Start the daemon by this clock, which is right until it is set."""
        if not self.file.exists():
            self.set(timedelta(0))
        self.daemon.environment |= {
            "LD_PRELOAD": _library(),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        try:
            self.daemon.start()
        finally:
            if self.daemon.process is not None:
                self._pids.append(self.daemon.process.pid)

    def stop(self) -> None:
        """Remove what libfaketime leaves behind of a process that was killed."""
        for pid in self._pids:
            (_SHARED / f"faketime_shm_{pid}").unlink(missing_ok=True)
            (_SHARED / f"sem.faketime_sem_{pid}").unlink(missing_ok=True)

    def set(self, off_by: timedelta) -> None:
        """Set the clock, in one instant, to the true time and so much more or less."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{off_by.total_seconds():+.0f}\n")
        fresh.replace(self.file)


def _library() -> str:
    """Ask the program ``faketime`` where its library is, the one for programs with threads."""
    asked = subprocess.run(
        [program("faketime") or "faketime", "-m", "now", "printenv", "LD_PRELOAD"],
        check=True,
        capture_output=True,
        text=True,
    )
    return asked.stdout.strip()
