"""A play is worth something only if it fails when the daemon does what it must not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.simulation.bugs import ROOT, mutated
from tests.simulation.mutant import Mutant

LIMIT_S = 70


@dataclass(frozen=True)
class Broken:
    """A scenario, the hold that it is about with a bug in it, and what its last line then says."""

    scenario: str
    bug: Mutant
    says: str


BROKEN = (
    Broken(
        "network-outage",
        Mutant(
            "no share of silent hosts is a storm",
            "core/storm.py",
            "if percent > threshold_percent:",
            "if percent > threshold_percent + 100:",
        ),
        "though the network was out",
    ),
    Broken(
        "witness",
        Mutant(
            "a witness that reached the host is not believed",
            "core/opinion.py",
            "    if seen:\n        reason",
            "    if seen and inquiry.waiting:\n        reason",
        ),
        "though others still reached it",
    ),
    Broken(
        "kdump",
        Mutant(
            "datagrams of a dump are no reason to wait",
            "core/dump.py",
            'return Verdict(HoldName.KDUMP, "it writes a crash dump"',
            'return None and Verdict(HoldName.KDUMP, "it writes a crash dump"',
        ),
        "though its kernel wrote a crash dump",
    ),
    Broken(
        "loop",
        Mutant(
            "a parked host is fenced again",
            "core/holds.py",
            "if about.parked:",
            "if about.parked and about.miswired:",
        ),
        "though it was fenced 2 times",
    ),
    Broken(
        "maintenance",
        Mutant(
            "maintenance is no hold",
            "core/holds.py",
            "if about.maintenance is not None:",
            "if about.maintenance is not None and about.miswired:",
        ),
        "though it was in maintenance",
    ),
    Broken(
        "maintenance",
        Mutant(
            "no grace after maintenance",
            "core/watch.py",
            "return _pardon(host, watch, ObserverPaused(math.inf), now)",
            "return _pardon(host, watch, ObserverPaused(0.0), now)",
        ),
        "its grace of 5 s did not run anew",
    ),
)


def broken_package(folder: Path, bug: Mutant) -> None:
    """Copy the package as it is, but for one bug."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "pmwatchd", folder / "pmwatchd", ignore=ignored)
    (folder / "pmwatchd" / bug.file).write_text(mutated(bug), encoding="utf-8")


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.bug.name)
def test_a_scenario_fails_and_says_why_when_its_hold_is_broken(
    tmp_path: Path, broken: Broken
) -> None:
    broken_package(tmp_path, broken.bug)

    done = subprocess.run(
        [sys.executable, "-m", "pmwatchd", "lab", "--scenario", broken.scenario, "--json"],
        cwd=tmp_path,  # where the interpreter, and the daemon's, looks for the package first
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )

    last = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, last["result"]) == (1, "failed")
    assert broken.says in last["reason"]
