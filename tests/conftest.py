"""Fixtures for tests that need real processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Yield an empty site, taken away after the test; a failed test shows the daemon's log."""
    place = Site(tmp_path)
    try:
        yield place
    finally:
        place.close()
        if place.daemon is not None and place.daemon.log.exists():
            print(place.daemon.log.read_text(errors="replace"))  # noqa: T201 - pytest shows it on failure


# In the background of a script SIGINT is ignored, by every program that we start as well.
signal.signal(signal.SIGINT, signal.default_int_handler)
