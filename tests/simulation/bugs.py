"""Try every deliberate bug on a copy of the package, and say what caught it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.chunk import run_chunk
from tests.simulation.mutant import Mutant
from tests.simulation.mutants import MUTANTS

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Catch:
    """What became of a deliberate bug: the rule that caught it, and after how many seeds."""

    mutant: Mutant
    seeds: int
    rule: str = ""
    what: str = ""


def hunt(seeds: range, jobs: int) -> Iterator[Catch]:
    """
    Try all deliberate bugs; seeds in which the source breaks a rule by itself catch nothing.

    Yields what became of each, in the order of the list, as soon as it is known.

    Raises:
        ValueError: A bug does not apply to the source any more.
    """
    for mutant in MUTANTS:
        mutated(mutant)
    broken = {result.seed for result in run_chunk(seeds) if result.violations}
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda mutant: _catch(mutant, seeds, broken), MUTANTS)


def mutated(mutant: Mutant) -> str:
    """
    Return the source of a file with the bug in it.

    Raises:
        ValueError: The text that it replaces does not occur exactly once.
    """
    source = (ROOT / "pmwatchd" / mutant.file).read_text(encoding="utf-8")
    if source.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name!r} does not apply to {mutant.file} any more")
    return source.replace(mutant.old, mutant.new)


def _run(command: Sequence[str], where: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=where, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


def _failed(said: str) -> str:
    """Name the test that failed, as pytest says it in its summary."""
    lines = (line for line in said.splitlines() if line.startswith("FAILED "))
    return next(lines, "it failed").removeprefix("FAILED ").partition(" - ")[0]


def _catch(mutant: Mutant, seeds: range, broken: Collection[int]) -> Catch:
    with tempfile.TemporaryDirectory(prefix="simulation-") as folder:
        copy = Path(folder)
        ignored = shutil.ignore_patterns("__pycache__")
        for part in ("pmwatchd", "tests"):
            shutil.copytree(ROOT / part, copy / part, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", copy)
        (copy / "pmwatchd" / mutant.file).write_text(mutated(mutant), encoding="utf-8")
        wanted = ["--start", str(seeds.start), "--seeds", str(len(seeds)), "--first", "--json"]
        for seed in sorted(broken):
            wanted += ["--skip", str(seed)]
        command = [sys.executable, "-m", "tests.simulation", *wanted]
        try:
            done = _run(command, copy)
        except subprocess.TimeoutExpired:
            return Catch(mutant, 1, "ends", f"it does not end within {TIMEOUT_S:g} s")
        missed = done.returncode == 0
        if missed and mutant.test:
            tested = _run([sys.executable, "-m", "pytest", "-q", "-x", mutant.test], copy)
            if tested.returncode == 1:
                return Catch(mutant, len(seeds), "test", _failed(tested.stdout))
    if done.returncode not in {0, 1} or not done.stdout:
        return Catch(mutant, 0, "does not run", done.stderr.strip().rpartition("\n")[2])
    told = json.loads(done.stdout)
    if not told["violations"]:
        return Catch(mutant, told["seeds"])
    first = told["violations"][0]
    return Catch(mutant, told["seeds"], first["rule"], first["what"])
