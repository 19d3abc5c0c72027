"""Very many hosts behind one listener: it answers at every address of 127.0.0.0/8."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field

_BACKLOG = 4096


def _address(number: int) -> str:
    return f"127.1.{number // 250}.{number % 250 + 1}"


@dataclass(slots=True)
class Crowd:
    """So many hosts that do nothing but accept connections."""

    size: int
    port: int = 0
    _socket: socket.socket = field(default_factory=socket.socket)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen, and hang up on whoever knocks."""
        self._socket.bind(("0.0.0.0", 0))  # noqa: S104 - every address of 127.0.0.0/8 is wanted
        self._socket.listen(_BACKLOG)
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="crowd")
        self._thread.start()

    def stop(self) -> None:
        """Be gone."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread out of accept
        if self._thread is not None:
            self._thread.join()
        self._socket.close()

    def inventory(self, password_file: str) -> list[dict[str, object]]:
        """Return every host, each with an agent of its own that is never executed."""
        return [
            {
                "name": f"node{number:04}",
                "address": _address(number),
                "cluster": f"cluster{number // 50}",
                "probes": [{"type": "tcp", "port": self.port}],
                "power_management": {
                    "agents": [
                        {
                            "name": "bmc",
                            "type": "ipmilan",
                            "address": f"192.0.2.{number % 250 + 1}",
                            "ipport": 1024 + number,
                            "username": "fence",
                            "password": {"file": password_file},
                        }
                    ]
                },
            }
            for number in range(self.size)
        ]

    def _accept(self) -> None:
        while True:
            try:
                self._socket.accept()[0].close()
            except OSError:
                return
