"""``python -m tests.simulation``: one seed as a story, or many for their violations."""

from __future__ import annotations

import argparse
import functools
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from tests.simulation.bugs import hunt
from tests.simulation.chunk import run_chunk
from tests.simulation.figures import Figures, percentiles
from tests.simulation.kept import Kept
from tests.simulation.mutants import MUTANTS
from tests.simulation.shrink import shrink
from tests.simulation.site import Result, Site

CHUNK = 25
PROGRESS_EVERY = 1000


def main() -> int:
    """Run, print, and return the exit code: 1 when a rule was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="tell the story of one seed")
    parser.add_argument("--without", action="append", default=[], help="leave a kind of fault out")
    parser.add_argument("--shrink", action="store_true", help="tell the story of its small cause")
    parser.add_argument("--seeds", type=int, default=300, help="how many seeds to run")
    parser.add_argument("--start", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")
    parser.add_argument("--skip", type=int, action="append", default=[], help="leave a seed out")
    parser.add_argument("--first", action="store_true", help="stop at the first violation")
    parser.add_argument("--keep", type=Path, help="a file to go on from after an interruption")
    parser.add_argument("--bugs", action="store_true", help="try the deliberate bugs")
    asked = parser.parse_args()
    if asked.bugs:
        return _bugs(range(asked.start, asked.start + asked.seeds), asked.jobs)
    if asked.seed is not None:
        return _tell(asked.seed, asked.without, smaller=asked.shrink)
    seeds = range(asked.start, asked.start + asked.seeds)
    return _many([seed for seed in seeds if seed not in asked.skip], asked)


def _say(words: str) -> None:
    print(words, flush=True)  # noqa: T201 - it is a command


def _warn(words: str) -> None:
    print(words, file=sys.stderr, flush=True)  # noqa: T201 - it is a command


def _show_progress(total: _Total, wanted: int) -> None:
    left_s = total.took_s / total.seeds * (wanted - total.seeds)
    broken = len(total.failed)
    _warn(f"{total.seeds} of {wanted} seeds, {broken} broke a rule, {left_s:.0f} s to go")


def _tell(seed: int, without: list[str], *, smaller: bool) -> int:
    if smaller:
        without = shrink(seed, without)
    result = Site(seed, without=without, told=True).run()
    _say("\n".join(result.lines))
    _say(f"\nseed {seed}, with: {', '.join(result.kinds)}")
    for violation in result.violations:
        _say(f"  VIOLATION at {violation.at:.2f}  {violation.rule}: {violation.what}")
    return bool(result.violations)


def _many(seeds: Sequence[int], asked: argparse.Namespace) -> int:
    kept = Kept(asked.keep, f"{asked.start} {asked.skip} {asked.without}")
    total = kept.load(_Total())
    began = time.monotonic() - total.took_s
    try:
        for result in _results(seeds[total.seeds :], asked.jobs, frozenset(asked.without)):
            total.add(result)
            total.took_s = time.monotonic() - began
            if result.violations:
                _show_violation(result, _warn if asked.json else _say)
            if result.violations and asked.first:
                break
            if total.seeds % PROGRESS_EVERY == 0:
                _show_progress(total, len(seeds))
                kept.save(total)
    except KeyboardInterrupt:
        _warn(f"interrupted after {total.seeds} of {len(seeds)} seeds")
    kept.save(total)
    _say(json.dumps(total.as_dict()) if asked.json else total.words())
    return bool(total.failed)


def _results(seeds: Sequence[int], jobs: int, without: frozenset[str]) -> Iterator[Result]:
    if jobs == 1:
        yield from (Site(seed, without=without).run() for seed in seeds)
        return
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    with ProcessPoolExecutor(jobs) as pool:
        for results in pool.map(functools.partial(run_chunk, without=without), chunks):
            yield from results


def _bugs(seeds: range, jobs: int) -> int:
    width = max(len(mutant.name) for mutant in MUTANTS)
    missed = 0
    for catch in hunt(seeds, jobs):
        caught = f"{catch.rule} (after {catch.seeds} seeds): {catch.what}"
        _say(f"{catch.mutant.name:{width}}  {caught if catch.rule else 'NOT CAUGHT'}")
        missed += catch.rule in {"", "does not run"}
    _say(f"{len(MUTANTS) - missed} of {len(MUTANTS)} deliberate bugs were caught")
    return bool(missed)


def _show_violation(result: Result, say: Callable[[str], None]) -> None:
    say(f"seed {result.seed}: python -m tests.simulation --seed {result.seed} --shrink")
    for violation in result.violations[:3]:
        say(f"    at {violation.at:.2f}  {violation.rule}: {violation.what}")


class _Total:
    """The sum of many runs."""

    def __init__(self) -> None:
        self.seeds = 0
        self.took_s = 0.0
        self.host_s = 0.0
        self.lives = 0
        self.outcomes: Counter[str] = Counter()
        self.executions: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.failed: list[Result] = []
        self.rules: Counter[str] = Counter()
        self.figures = Figures()

    def add(self, result: Result) -> None:
        """Take in one run."""
        self.seeds += 1
        self.host_s += result.host_s
        self.lives += result.lives
        self.outcomes += result.outcomes
        self.executions += result.executions
        self.faults += result.faults
        self.figures.add(result.figures)
        if result.violations:
            self.failed.append(result)
            self.rules.update({violation.rule for violation in result.violations})

    def as_dict(self) -> dict[str, object]:
        """Return everything, for programs."""
        return {
            "seeds": self.seeds,
            "took_s": round(self.took_s, 1),
            "host_hours": round(self.host_s / 3600, 1),
            "daemon_lives": self.lives,
            "operations": dict(self.outcomes.most_common()),
            "executions": dict(self.executions.most_common()),
            "faults": dict(self.faults.most_common()),
            "wrongful_fences": self.figures.wrongful,
            "unfenced": self.figures.unfenced,
            "proven_off_after_s": percentiles(self.figures.proven_after_s),
            "violations": [
                {"seed": result.seed, **asdict(violation)}
                for result in self.failed
                for violation in result.violations
            ],
        }

    def words(self) -> str:
        """Return everything, for people."""
        per_s = self.seeds / self.took_s if self.seeds else 0.0
        pace = f"{self.took_s:.1f} s ({per_s:.1f} seeds/s)"
        first = (
            f"{self.seeds} seeds, {self.host_s / 3600:.0f} simulated host-hours, "
            f"{self.lives} daemons started, {pace}"
        )
        after_s = percentiles(self.figures.proven_after_s)
        longs = ", ".join(f"{name} {value:g} s" for name, value in after_s.items())
        lines = [
            first,
            f"wrongful fences: {self.figures.wrongful}",
            f"unfenced: {self.figures.unfenced}",
            f"from death to proven off: {longs} ({len(self.figures.proven_after_s)} deaths)",
        ]
        for title, counted in (
            ("operations", self.outcomes),
            ("executions", self.executions),
            ("faults", self.faults),
            ("seeds that broke a rule", self.rules),
        ):
            lines.append(f"{title}: {sum(counted.values())}")
            lines += [f"  {number:8}  {name}" for name, number in counted.most_common()]
        return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
