"""Looks through /proc for a word in the command line or the environment of every process."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

_PAUSE_S = 0.003


@dataclass(slots=True)
class ProcWatcher:
    """
    Samples /proc until it is left; a process that lives for a few hundredths of a second is seen.

    Attributes:
        words: What is looked for.
        leaks: Command lines of processes that showed a word, or the names of those that
            had one in their environment.
        commands: Every command line that was seen at all.
    """

    words: tuple[bytes, ...]
    leaks: set[str] = field(default_factory=set)
    commands: set[str] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch, name="watcher of /proc")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_PAUSE_S):
            for process in Path("/proc").iterdir():
                if process.name.isdecimal():
                    self._look(process)

    def _look(self, process: Path) -> None:
        command = _read(process / "cmdline")
        shown = command.replace(b"\0", b" ").decode(errors="replace").strip()
        self.commands.add(shown)
        if self._has_word(command):
            self.leaks.add(shown)
        if self._has_word(_read(process / "environ")):
            self.leaks.add(f"environment of {shown}")

    def _has_word(self, text: bytes) -> bool:
        return any(word in text for word in self.words)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process has ended, or belongs to somebody else
        return b""
