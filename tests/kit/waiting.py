"""The one way in which a test waits for a real process: it polls a condition until a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")

POLL_S = 0.02
_NEVER = threading.Event()


def eventually(condition: Callable[[], T], *, within_s: float, what: str) -> T:
    """Return the first true value of *condition*, or fail the test saying *what* did not happen."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within_s:g} s: {what}")
        _NEVER.wait(POLL_S)
    return value
