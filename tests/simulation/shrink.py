"""Make a failing seed small: leave kinds of faults out while it still breaks the same rule."""

from __future__ import annotations

from collections.abc import Collection

from tests.simulation.site import Site


def shrink(seed: int, without: Collection[str] = ()) -> list[str]:
    """Return which kinds of faults can be left out of *seed* without mending it."""
    left_out = list(without)
    first = Site(seed, without=left_out).run()
    rules = {violation.rule for violation in first.violations[:1]}
    for kind in first.kinds:
        tried = Site(seed, without=[*left_out, kind]).run()
        if rules and rules & {violation.rule for violation in tried.violations}:
            left_out.append(kind)
    return left_out
