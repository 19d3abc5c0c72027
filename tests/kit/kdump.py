"""What a dumping host sends, by the program that really does it, and the port that it goes to."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.kit.parts import program

LOOPBACK = "127.0.0.1"
"""What the kernel makes the source of whatever goes to loopback from a socket without a name."""


@dataclass(slots=True)
class DumpSender:
    """
    ``fence_kdump_send``, which always sends from the address that the kernel gives it.

    Attributes:
        port: Where it sends to, at this machine.
        count: After so many datagrams it ends; 0: never.
        interval_s: Whole seconds from one datagram to the next.
    """

    port: int
    count: int = 0
    interval_s: int = 1
    began_at: float = 0.0
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.began_at = time.time()
        self.process = subprocess.Popen(
            [
                program("fence_kdump_send") or "fence_kdump_send",
                *("-p", str(self.port), "-f", "ipv4", "-c", str(self.count)),
                *("-i", str(self.interval_s), LOOPBACK),
            ]
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def sends(self) -> bool:
        """Whether it still runs."""
        return self.process is not None and self.process.poll() is None


@dataclass(frozen=True, slots=True)
class PortState:
    """
    What the kernel says of a port of UDP.

    Attributes:
        waiting_bytes: Not read yet by the one who listens.
        dropped: Datagrams that nobody will ever read.
    """

    waiting_bytes: int
    dropped: int


def port_state(port: int) -> PortState:
    """
    Look a port of IPv4 up in the kernel's table.

    Raises:
        LookupError: Nobody listens there.
    """
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}"):
            return PortState(int(fields[4].partition(":")[2], 16), int(fields[-1]))
    raise LookupError(f"nobody listens at port {port}")
