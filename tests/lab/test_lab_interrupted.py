from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kit.waiting import eventually

STARTED = '"event": "daemon.started"'


@contextmanager
def lab(tmp_path: Path, *argv: str) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"TMPDIR": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-m", "pmwatchd", "lab", "--json", *argv],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        # A shell that tests in the background has Ctrl-C switched off, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as process:
        try:
            assert process.stdout is not None
            assert any(STARTED in line for line in process.stdout)
            yield process
        finally:
            process.kill()


def left_behind(tmp_path: Path) -> list[str]:
    """Processes that name a file of this lab, and folders of it that are still there."""
    found = [str(folder) for folder in tmp_path.glob("pmwatchd-lab-*")]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(tmp_path) in words:
            found.append(words)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_lab_that_is_interrupted_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals
) -> None:
    with lab(tmp_path) as process:
        process.send_signal(number)
        code = process.wait(20)

    assert code == 0
    assert left_behind(tmp_path) == []


def test_a_scenario_that_is_interrupted_is_no_success(tmp_path: Path) -> None:
    with lab(tmp_path, "--scenario", "dead-host") as process:
        process.send_signal(signal.SIGINT)
        code = process.wait(20)

    assert code == 130
    assert left_behind(tmp_path) == []


def test_a_lab_ends_when_nobody_reads_its_story_any_more(tmp_path: Path) -> None:
    with lab(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.wait(20)

    eventually(lambda: not left_behind(tmp_path), within_s=5, what="nothing is left")
