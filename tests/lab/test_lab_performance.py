from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pmwatchd import lab
from pmwatchd.lab import scenarios
from pmwatchd.lab.performance import perform
from pmwatchd.lab.story import JsonStory

SLEEPER = "import time; time.sleep(60)"
FAULTY = "import sys; sys.exit('the inventory is faulty')"


@pytest.fixture(autouse=True)
def _kept_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


async def play(code: str, limit_s: float = 20) -> tuple[int, dict[str, Any]]:
    """Play with a daemon that is a few lines of Python; the exit code and the last object."""
    out = io.StringIO()
    exit_code = await perform(
        "dead-host", 3, JsonStory(out), program=(sys.executable, "-c", code), limit_s=limit_s
    )
    last: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return exit_code, last


def test_the_names_on_the_command_line_are_those_that_can_be_played() -> None:
    assert tuple(scenarios.SCENARIOS) == lab.SCENARIOS


async def test_a_daemon_that_ends_at_once_fails_the_play_with_its_last_words() -> None:
    code, last = await play(FAULTY)

    assert (code, last["result"]) == (1, "failed")
    assert "exit status 1: the inventory is faulty" in last["reason"]


async def test_a_daemon_that_does_nothing_fails_the_play_when_the_time_is_over() -> None:
    code, last = await play(SLEEPER, limit_s=0.5)

    assert (code, last["result"]) == (1, "failed")
    assert "not over after" in last["reason"]


async def test_after_a_failure_the_files_are_kept_and_said(tmp_path: Path) -> None:
    _, last = await play(FAULTY)

    assert Path(last["kept"]).parent == tmp_path
    assert (Path(last["kept"]) / "daemon.err").read_text() == "the inventory is faulty\n"


@pytest.mark.parametrize("hosts", [2, 201])
def test_a_site_too_small_or_too_large_is_a_usage_error(
    hosts: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lab.main(hosts=hosts, scenario="dead-host") == 2
    assert "from 3 to 200" in capsys.readouterr().err


def test_an_unknown_scenario_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.main(scenario="flood") == 2
    assert "dead-host" in capsys.readouterr().err
