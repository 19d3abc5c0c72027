"""The API on a scripted desk and a scripted journal."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.api.room import Room


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    """Yield the API on a test server, with everything behind it scripted."""
    async with Room() as one:
        yield one
