"""A scenario of the lab fails when the daemon is broken: its success means something."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import pmwatchd
from tests.kit.parts import needs

BREAKAGES = {
    "it ends at its start": ("app.py", "raise SystemExit(1)"),
    "it never executes an agent": (
        "io/agents/execution.py",
        """
async def _nothing(self, agent, action, proxy):
    return Reply(result=AgentResult.GARBAGE)
FenceAgents.execute = _nothing
""",
    ),
    "it takes every word for a proof of off": (
        "core/verdict.py",
        """
def power_of(exit_code, stdout):
    return PowerStatus.OFF
""",
    ),
}


def processes() -> list[str]:
    listed = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True)
    return listed.stdout.splitlines()


@needs("ps")
@pytest.mark.parametrize("breakage", BREAKAGES)
def test_the_lab_says_so_when_the_daemon_is_broken(breakage: str, tmp_path: Path) -> None:
    file, code = BREAKAGES[breakage]
    shutil.copytree(Path(pmwatchd.__file__).parent, tmp_path / "pmwatchd")
    with (tmp_path / "pmwatchd" / file).open("a") as source:
        source.write(f"\n\n{code}\n")

    # A lab that failed keeps its files; its sockets need a shorter path than pytest's.
    with tempfile.TemporaryDirectory(prefix="lab-") as kept:
        played = subprocess.run(
            [sys.executable, "-m", "pmwatchd", "lab", "--scenario", "dead-host", "--json"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path), "TMPDIR": kept},
            check=False,
            capture_output=True,
            timeout=120,
        )
        left = [line for line in processes() if kept in line]

    assert left == []
    assert played.returncode != 0
    last = json.loads(played.stdout.splitlines()[-1])
    assert last["result"] != "ok"
