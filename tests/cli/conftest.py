"""A scripted daemon, and the command line run against it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from pmwatchd.cli import main
from tests.cli.scripted import Run, Said, ScriptedDaemon, view


@pytest.fixture
def place() -> Iterator[Path]:
    """Yield a folder with a short path: a socket's may have about 100 bytes."""
    with tempfile.TemporaryDirectory(prefix="pmw") as folder:
        yield Path(folder)


@pytest.fixture
def daemon(place: Path) -> Iterator[ScriptedDaemon]:
    """Yield a daemon that watches two hosts."""
    scripted = ScriptedDaemon(place / "api.sock")
    scripted.script.views = {name: view(name) for name in ("node1", "node2")}
    scripted.start()
    try:
        yield scripted
    finally:
        scripted.stop()


@pytest.fixture
def run(daemon: ScriptedDaemon) -> Run:
    """Return a way to run a command line against the scripted daemon, without a terminal."""

    def carry_out(*words: str) -> Said:
        result = CliRunner().invoke(main, [*words, "--url", daemon.url])
        return Said(result.exit_code, result.stdout, result.stderr)

    return carry_out
