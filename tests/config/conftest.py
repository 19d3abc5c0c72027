"""Every test of the configuration has a folder of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.config.folder import Folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    for name in os.environ:
        if name.startswith("PMWATCHD_"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    place = Folder(tmp_path)
    (tmp_path / "hosts.d").mkdir()
    (tmp_path / "agents").mkdir()
    place.main(
        f'fencing.agent_dir = "{tmp_path / "agents"}"\n'
        'safety.canaries = [{ type = "icmp", address = "192.0.2.1" }]\n'
    )
    return place
