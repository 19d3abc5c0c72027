"""
What the service manager hears from us, and what it told us at start.

Without systemd nothing of this does anything.  A message that cannot be
sent is lost on purpose: systemd notices by itself (start time-out, watchdog).
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections import deque
from collections.abc import Mapping
from typing import Self

WAITING_MAX = 64  # of states that a manager which hangs has not taken yet
STDOUT = 1
_PASSING = (errno.EAGAIN, errno.EMFILE, errno.ENFILE)
"""A manager that hangs, and our own want of descriptors, end by themselves."""


class Notifier:
    """
    Speaks to the manager that started us.

    Attributes:
        watchdog_interval_s: A sign of life is due at least this often; send
            one at half of it.  None: nobody waits for any.
    """

    def __init__(self, address: str | None, watchdog_interval_s: float | None) -> None:
        self._address = address
        self._waiting: deque[bytes] = deque(maxlen=WAITING_MAX)
        self.watchdog_interval_s = watchdog_interval_s

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Find the manager; without one every message is silently dropped."""
        address = environment.get("NOTIFY_SOCKET") or None
        interval_us = environment.get("WATCHDOG_USEC", "")
        is_for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        waits = is_for_us and interval_us.isdigit() and int(interval_us) > 0
        return cls(address, int(interval_us) / 1e6 if waits else None)

    def ready(self, status: str) -> None:
        """The start, or a reload, is over."""
        self._send("READY=1", _status(status))

    def watchdog(self) -> None:
        """The engine makes progress; to be sent by nothing else."""
        self._send("WATCHDOG=1", kept=False)

    def reloading(self) -> None:
        """A reload begins; :meth:`ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end begins."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``."""
        self._send(_status(text))

    def _send(self, *assignments: str, kept: bool = True) -> None:
        """
        Send without ever waiting: the event loop stands still meanwhile.

        What a manager that hangs does not take now goes out with the next
        message, in the same order, if it is to be *kept*.
        """
        if self._address is None:
            return
        # "@" stands for the zero byte of an abstract socket's address.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        self._waiting.append("\n".join(assignments).encode())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                while self._waiting:
                    manager.sendto(self._waiting[0], socket.MSG_DONTWAIT, address)
                    self._waiting.popleft()
        except OSError as error:
            if error.errno not in _PASSING:
                self._waiting.clear()
            elif not kept:
                self._waiting.pop()


def listens_to_journal(
    environment: Mapping[str, str] = os.environ, descriptor: int = STDOUT
) -> bool:
    """Whether what is written to *descriptor* goes straight to systemd's journal."""
    try:
        its = os.fstat(descriptor)
    except OSError:
        return False
    return environment.get("JOURNAL_STREAM") == f"{its.st_dev}:{its.st_ino}"


def _status(text: str) -> str:
    """Keep one assignment on one line: a line break would begin another."""
    return "STATUS=" + " ".join(text.split())
