"""
A network of its own: every machine is a network namespace, every switch a bridge.

The switches and all cables lie in namespaces too, so nothing of the machine
that runs the tests is touched, and any number of networks may use the same
addresses.  A cable is cut at the switch, as if somebody had pulled it there.

A namespace is named after the process that made it, and when that process
began; the next network takes away what such a process left behind.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path

from tests.kit.parts import program

_NAMESPACES = Path("/run/netns")
_OURS = re.compile(r"pmwatchd-(?P<pid>\d+)-(?P<began>\d+)-\d+-.+")
_SWITCHES = "switches"
_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_BEGAN = 19  # field 22 of /proc/PID/stat, counted from the one behind the name
_numbers = count(1)


class NetworkError(Exception):
    """The system refused a part of a network; says what and why."""


@dataclass(slots=True)
class Network:
    """Machines and switches; ``stop`` ends whatever still runs in them and takes them away."""

    _prefix: str = field(
        default_factory=lambda: f"pmwatchd-{os.getpid()}-{_began(os.getpid())}-{next(_numbers)}"
    )
    _places: list[str] = field(default_factory=list)

    @staticmethod
    def clean() -> None:
        """Take away every network whose owner is gone, and end what runs in it."""
        for name in _stale():
            _remove(name)

    def places(self) -> list[str]:
        """Return the namespaces of this network by the names that the system knows."""
        return [self._place(name) for name in self._places]

    def start(self) -> None:
        """Take away what killed tests left behind, and make room for switches."""
        self.clean()
        self._make(_SWITCHES)

    def stop(self) -> None:
        """End every process in this network, and the network."""
        while self._places:
            _remove(self._place(self._places.pop()))

    def switch(self, name: str, *, uplink: str | None = None) -> None:
        """Put up a switch, with a cable to another one."""
        lines = [f"link add {name} type bridge", f"link set {name} up"]
        if uplink is not None:
            here, there = f"{uplink}.{name}", f"{name}.{uplink}"
            lines += [
                f"link add {there} type veth peer name {here}",
                f"link set {here} master {name} up",
                f"link set {there} master {uplink} up",
            ]
        self._ip(_SWITCHES, *lines)

    def address(self, switch: str, address: str) -> None:
        """Give a switch an address of its own, with the length of its network."""
        self._ip(_SWITCHES, f"address add {address} dev {switch}")

    def machine(self, name: str, addresses: Mapping[str, str]) -> None:
        """Put up a machine with a cable to each of these switches and its address there."""
        self._make(name)
        for switch, address in addresses.items():
            port = f"{name}.{switch}"
            self._ip(
                _SWITCHES,
                f"link add {port} type veth peer name {switch} netns {self._place(name)}",
                f"link set {port} master {switch} up",
            )
            self._ip(name, f"address add {address} dev {switch}", f"link set {switch} up")

    def cut(self, machine: str, switch: str) -> None:
        """Pull the cable of a machine, or of another switch, out of a switch."""
        self._ip(_SWITCHES, f"link set {machine}.{switch} down")

    def mend(self, machine: str, switch: str) -> None:
        """Plug the cable in again."""
        self._ip(_SWITCHES, f"link set {machine}.{switch} up")

    def switch_off(self, switch: str) -> None:
        """Take the power from a switch: nothing passes it."""
        self._ip(_SWITCHES, f"link set {switch} down")

    def switch_on(self, switch: str) -> None:
        """Give it power again."""
        self._ip(_SWITCHES, f"link set {switch} up")

    def interface(self, machine: str, switch: str, *, up: bool) -> None:
        """Let a machine itself close or open its interface to a switch."""
        self._ip(machine, f"link set {switch} {'up' if up else 'down'}")

    def deafen(self, machine: str, address: str) -> None:
        """Let a machine route everything for *address* into nothing, its answers included."""
        self._ip(machine, f"route add blackhole {address}")

    def undeafen(self, machine: str, address: str) -> None:
        """Take that route away."""
        self._ip(machine, f"route del blackhole {address}")

    @contextmanager
    def inside(self, machine: str) -> Iterator[None]:
        """Let the calling thread, and all that it starts meanwhile, be in a machine's network."""
        with (
            Path("/proc/thread-self/ns/net").open("rb") as home,
            (_NAMESPACES / self._place(machine)).open("rb") as there,
        ):
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def _place(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def _make(self, name: str) -> None:
        self._places.append(name)  # first: what is half made is taken away as well
        _ip("netns", "add", self._place(name))
        self._ip(name, "link set lo up")

    def _ip(self, place: str, *lines: str) -> None:
        _ip("-netns", self._place(place), "-batch", "-", lines=lines)


@cache
def refusal() -> str:
    """Say why no network can be made here, or "" where one can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    network = Network()
    try:
        network.start()
        network.switch("core")
        network.machine("one", {"core": "192.0.2.1/24"})
        with network.inside("one"):
            pass
    except (NetworkError, OSError) as error:
        return f"network namespaces are not permitted here: {error}"
    finally:
        network.stop()
    return ""


def _ip(*arguments: str, lines: tuple[str, ...] = ()) -> str:
    done = subprocess.run(
        [program("ip") or "ip", *arguments],
        input="".join(f"{line}\n" for line in lines),
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        what = "; ".join(lines) or " ".join(arguments)
        raise NetworkError(f"ip {what}: {done.stderr.strip()}")
    return done.stdout


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _remove(name: str) -> None:
    """End what runs in a namespace and take it away; another test may be about to do the same."""
    with suppress(NetworkError):
        for pid in _ip("netns", "pids", name).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    with suppress(NetworkError):
        _ip("netns", "delete", name)


def _stale() -> list[str]:
    """Return the namespaces of processes that are gone."""
    if not _NAMESPACES.is_dir():
        return []
    names = [path.name for path in _NAMESPACES.iterdir()]
    found = [match for name in names if (match := _OURS.fullmatch(name))]
    return [match[0] for match in found if _began(int(match["pid"])) != match["began"]]


def _began(pid: int) -> str:
    """When a process began, in ticks of the kernel since its boot; "" when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return stat.rpartition(") ")[2].split()[_BEGAN]
