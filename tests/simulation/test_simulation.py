"""The simulation's own promises; ``tests/run`` plays its 2,000 seeds as a step of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.bugs import ROOT, mutated
from tests.simulation.chunk import run_chunk
from tests.simulation.figures import Figures, percentiles
from tests.simulation.kept import Kept
from tests.simulation.mutant import Mutant
from tests.simulation.mutants import MUTANTS
from tests.simulation.partitions import Partitions


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


def test_dead_hosts_are_fenced_and_no_living_one_is() -> None:
    total = Figures()
    for result in run_chunk(range(8)):
        assert not result.violations
        total.add(result.figures)

    assert total.proven_after_s
    assert (total.wrongful, total.unfenced) == (0, 0)


def test_a_distribution_is_told_by_its_middle_and_its_long_ends() -> None:
    assert percentiles([]) == {}
    assert percentiles([float(value) for value in range(101)]) == {
        "p50": 50.0,
        "p90": 90.0,
        "p99": 99.0,
    }


def test_what_is_parted_reaches_nobody_on_the_other_side_until_it_is_joined() -> None:
    parts = Partitions(clock=lambda: 0.0)
    join = parts.cut({"engine"}, {"node1", "node2"})

    assert not parts.reaches("engine", "node1")
    assert not parts.reaches("node2", "engine")
    assert parts.reaches("node1", "node2")
    join()
    assert parts.reaches("engine", "node1")


def test_an_interrupted_run_goes_on_where_it_was_and_comes_to_the_same_sums(tmp_path: Path) -> None:
    kept = ("--keep", str(tmp_path / "sums"))
    _play("--seeds", "3", *kept)
    after = _play("--seeds", "5", *kept)
    at_once = _play("--seeds", "5")

    assert after | {"took_s": 0} == at_once | {"took_s": 0}
    assert after["seeds"] == 5


def test_sums_of_another_run_are_refused(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "sums", "0 [] []")
    kept.save(Figures(wrongful=1))

    assert kept.load(Figures()) == Figures(wrongful=1)
    with pytest.raises(ValueError, match="other sources or seeds"):
        Kept(tmp_path / "sums", "7 [] []").load(Figures())


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_deliberate_bug_still_applies_to_the_source(mutant: Mutant) -> None:
    assert mutant.new in mutated(mutant)


def _play(*arguments: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--json", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    sums: dict[str, object] = json.loads(done.stdout)
    return sums


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
