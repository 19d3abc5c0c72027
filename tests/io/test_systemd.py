"""What systemd hears: real datagram sockets, path and abstract."""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmwatchd.io.systemd import Notifier, listens_to_journal


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """The address as NOTIFY_SOCKET gives it, and the manager's end."""
    abstract = f"pmwatchd-test-{os.getpid()}-{tmp_path.name}"
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(5)
        receiver.bind(str(path) if request.param == "path" else f"\0{abstract}")
        yield str(path) if request.param == "path" else f"@{abstract}", receiver


def heard(receiver: socket.socket) -> list[str]:
    return receiver.recv(4096).decode().split("\n")


def test_the_manager_hears_of_start_progress_and_end(manager: tuple[str, socket.socket]) -> None:
    address, receiver = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address})

    notifier.ready("watching 3 hosts")
    notifier.watchdog()
    notifier.status("nothing to do")
    notifier.stopping()

    assert heard(receiver) == ["READY=1", "STATUS=watching 3 hosts"]
    assert heard(receiver) == ["WATCHDOG=1"]
    assert heard(receiver) == ["STATUS=nothing to do"]
    assert heard(receiver) == ["STOPPING=1"]


def test_a_reload_carries_the_time_of_its_beginning(manager: tuple[str, socket.socket]) -> None:
    address, receiver = manager
    before_us = time.monotonic_ns() // 1000

    Notifier.from_environment({"NOTIFY_SOCKET": address}).reloading()

    state, began = heard(receiver)
    assert state == "RELOADING=1"
    name, value = began.split("=")
    assert name == "MONOTONIC_USEC"
    assert before_us <= int(value) <= time.monotonic_ns() // 1000


def test_a_status_stays_on_one_line(manager: tuple[str, socket.socket]) -> None:
    address, receiver = manager

    Notifier.from_environment({"NOTIFY_SOCKET": address}).status("a\nWATCHDOG=trigger")

    assert heard(receiver) == ["STATUS=a WATCHDOG=trigger"]


def test_without_systemd_nothing_is_sent_and_nothing_fails() -> None:
    notifier = Notifier.from_environment({})

    notifier.ready("alone")
    notifier.watchdog()

    assert notifier.watchdog_interval_s is None


def test_a_manager_that_is_gone_stops_nothing(tmp_path: Path) -> None:
    Notifier.from_environment({"NOTIFY_SOCKET": str(tmp_path / "gone")}).watchdog()


def test_without_a_descriptor_to_spare_a_state_waits_and_nothing_fails(
    manager: tuple[str, socket.socket],
) -> None:
    address, receiver = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address})
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as probe:
        free = probe.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        notifier.reloading()
        notifier.watchdog()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    notifier.ready("watching 3 hosts")

    assert heard(receiver)[0] == "RELOADING=1"
    assert heard(receiver)[0] == "READY=1"


def flood(receiver: socket.socket) -> int:
    """Send until the receiver's queue is full; returns how many messages are in it."""
    for filled in range(100_000):
        # each from a socket of its own: one alone would run out of its own buffer first
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            try:
                sender.sendto(b"X", socket.MSG_DONTWAIT, receiver.getsockname())
            except BlockingIOError:
                return filled
    pytest.fail("the queue has no end")


def test_a_manager_that_hangs_is_not_waited_for_and_hears_of_every_state_later(
    manager: tuple[str, socket.socket],
) -> None:
    address, receiver = manager
    filled = flood(receiver)
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address})

    began = time.monotonic()
    notifier.reloading()
    for _ in range(200):
        notifier.watchdog()
    notifier.ready("watching 3 hosts")
    waited_s = time.monotonic() - began
    for _ in range(filled):
        receiver.recv(4096)
    notifier.watchdog()

    assert waited_s < 0.4
    assert heard(receiver)[0] == "RELOADING=1"
    assert heard(receiver) == ["READY=1", "STATUS=watching 3 hosts"]
    assert heard(receiver) == ["WATCHDOG=1"]


@pytest.mark.parametrize(
    ("environment", "interval_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_waits_only_if_it_was_set_for_this_process(
    environment: dict[str, str], interval_s: float | None
) -> None:
    assert Notifier.from_environment(environment).watchdog_interval_s == interval_s


def test_output_goes_to_the_journal_if_it_is_the_stream_that_systemd_named(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as stream:
        its = os.fstat(stream.fileno())
        named = {"JOURNAL_STREAM": f"{its.st_dev}:{its.st_ino}"}

        assert listens_to_journal(named, stream.fileno())
        assert not listens_to_journal({"JOURNAL_STREAM": "1:2"}, stream.fileno())
        assert not listens_to_journal({}, stream.fileno())
        closed = stream.fileno()

    assert not listens_to_journal(named, closed)
