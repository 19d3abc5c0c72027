"""The simulation's own promises; ``tests/run`` plays its 2,000 seeds as a step of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.simulation.bugs import ROOT, mutated
from tests.simulation.chunk import run_chunk
from tests.simulation.mutants import MUTANTS, Mutant


def test_a_seed_tells_the_same_story_in_every_process() -> None:
    told = [_tell(seed=3, hash_seed=hash_seed) for hash_seed in ("1", "2")]

    assert told[0] == told[1]
    assert "Operation op_1_1" in told[0]


def test_leaving_a_fault_out_leaves_the_others_where_they_were() -> None:
    whole, *_ = run_chunk([5])
    kind = whole.kinds[0]
    less, *_ = run_chunk([5], without=frozenset({kind}))

    assert less.kinds == whole.kinds[1:]
    assert all(less.faults[name] == whole.faults[name] for name in less.kinds)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_deliberate_bug_still_applies_to_the_source(mutant: Mutant) -> None:
    assert mutant.new in mutated(mutant)


def _tell(*, seed: int, hash_seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", str(seed)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.stderr
    return done.stdout
