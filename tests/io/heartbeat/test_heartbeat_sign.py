"""How errors of the system are read."""

from __future__ import annotations

import errno

import pytest

from pmwatchd.core.model import ProbeResult
from pmwatchd.io.heartbeat.sign import Sign, of_error, of_refusal


def test_a_refused_connection_is_alive() -> None:
    assert of_error(errno.ECONNREFUSED).result is ProbeResult.ALIVE
    assert of_refusal(errno.ECONNREFUSED).result is ProbeResult.ALIVE


def test_an_unreachable_host_is_silent() -> None:
    assert of_error(errno.EHOSTUNREACH).result is ProbeResult.SILENT
    assert of_error(errno.ETIMEDOUT).result is ProbeResult.SILENT


def test_a_route_of_our_own_that_says_unreachable_is_ours() -> None:
    assert of_refusal(errno.EHOSTUNREACH) == Sign(ProbeResult.LOCAL_FAULT, "no_route")


@pytest.mark.parametrize(
    "number",
    [
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EADDRNOTAVAIL,
    ],
)
def test_a_lack_of_our_own_is_a_local_fault(number: int) -> None:
    assert of_error(number).result is ProbeResult.LOCAL_FAULT
    assert of_refusal(number).result is ProbeResult.LOCAL_FAULT


def test_an_error_that_nobody_listed_proves_nothing() -> None:
    assert of_error(errno.EXDEV) == Sign(ProbeResult.LOCAL_FAULT, "exdev")
