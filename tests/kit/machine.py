"""
A machine: it lives while one of its power supplies has power, and answers on a TCP port.

A dead kernel does not refuse a connection, it says nothing.  So the socket is
kept by the test, and the operating system is a process that accepts on it:
when that is gone and the queue of the socket is full, Linux drops what comes,
and whoever knocks waits until he gives up.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.kit.bmc import Bmc

_OPERATING_SYSTEM = """
import socket, sys
port = socket.socket(fileno=int(sys.argv[1]))
while True:
    port.accept()[0].close()
"""
_LOOK_S = 0.02
_KNOCK_S = 0.2


@dataclass(slots=True)
class Machine:
    """
    A machine with one or more power supplies, each behind a BMC.

    Attributes:
        name: Its name in the inventory.
        address: One of 127.0.0.0/8.
        supplies: With power on one of them it runs; with none it cannot be killed by power.
        boot_s: From power to the first answer.
    """

    name: str
    address: str
    supplies: Sequence[Bmc] = ()
    boot_s: float = 0.5
    port: int = 0
    boots: int = 0
    _socket: socket.socket | None = None
    _system: subprocess.Popen[bytes] | None = None
    _case: threading.Thread | None = None
    _scrapped: threading.Event = field(default_factory=threading.Event)
    _queue: list[socket.socket] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Boot at once, and follow the power from then on."""
        self._socket = socket.create_server((self.address, 0), backlog=0)
        self.port = self._socket.getsockname()[1]
        self._boot()
        if self.supplies:
            self._case = threading.Thread(target=self._follow_power, name=f"case of {self.name}")
            self._case.start()

    def stop(self) -> None:
        """Take the machine away."""
        self._scrapped.set()
        if self._case is not None:
            self._case.join()
        self._end()
        self._empty_queue()
        if self._socket is not None:
            self._socket.close()

    def kill(self) -> None:
        """End its operating system; the power stays on, so nothing starts it again."""
        self._end()

    def revive(self) -> None:
        """Boot without a change of its power, as a host does by itself after a crash dump."""
        if not self.alive():
            self._boot()

    def alive(self) -> bool:
        """Whether its operating system runs."""
        with self._lock:
            return self._system is not None

    def inventory(self, **more: object) -> dict[str, object]:
        """Return this machine as a host of the inventory."""
        host: dict[str, object] = {
            "name": self.name,
            "address": self.address,
            "probes": [{"type": "tcp", "port": self.port}],
        }
        return host | more

    def _powered(self) -> bool:
        return any(supply.powered() for supply in self.supplies)

    def _follow_power(self) -> None:
        was = True
        while not self._scrapped.wait(_LOOK_S):
            powered = self._powered()
            if powered and not was:
                if self._scrapped.wait(self.boot_s):
                    return
                self._boot()
            elif was and not powered:
                self._end()
            was = powered

    def _boot(self) -> None:
        if self._socket is None:
            raise RuntimeError("a machine is started before it boots")
        with self._lock:
            self._empty_queue()
            self._system = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _OPERATING_SYSTEM, str(self._socket.fileno())],
                pass_fds=[self._socket.fileno()],
            )
            self.boots += 1

    def _end(self) -> None:
        with self._lock:
            if self._system is None:
                return
            self._system.kill()
            self._system.wait()
            self._system = None
            self._fill_queue()

    def _fill_queue(self) -> None:
        """Knock until nobody opens: from then on the port is as mute as a dead kernel."""
        while True:
            knock = socket.socket()
            knock.settimeout(_KNOCK_S)
            self._queue.append(knock)
            try:
                knock.connect((self.address, self.port))
            except TimeoutError:
                return

    def _empty_queue(self) -> None:
        for knock in self._queue:
            knock.close()
        self._queue.clear()
