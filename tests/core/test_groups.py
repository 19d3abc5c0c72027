"""
Behaviour 4 as a table: eight agents in three groups, every mixture of fates.

What must come out is worked out here from the rules alone, row by row.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest

from pmwatchd.core.model import AgentResult, FenceAction, PowerStatus
from tests.core.scene import Scene, agent, host

SIZES = (2, 3, 3)
GROUPS = [[f"g{group}a{number}" for number in range(size)] for group, size in enumerate(SIZES)]
NAMES = [name for group in GROUPS for name in group]

# What a group's agents do when they are asked for off.
WELL, STUCK, MUTE, BOTH = "well", "one stuck", "one mute", "one stuck, one mute"
OFF_FATES = (WELL, STUCK, MUTE, BOTH)
# What agents do when they are asked for on, all groups together.
ON_FATES = ("all come on", "the first of each group stays off", "none comes on")


@dataclass(frozen=True)
class Row:
    """One site: the fate of each group at off, and of all at on."""

    off: tuple[str, ...]
    on: str

    def stuck(self) -> set[str]:
        """Agents that take an off and do nothing."""
        return {g[0] for g, fate in zip(GROUPS, self.off, strict=True) if fate in (STUCK, BOTH)}

    def mute(self) -> set[str]:
        """Agents whose status cannot be read."""
        return {g[1] for g, fate in zip(GROUPS, self.off, strict=True) if fate in (MUTE, BOTH)}

    def dead_on(self) -> set[str]:
        """Agents that take an on and do nothing."""
        if self.on == ON_FATES[2]:
            return set(NAMES)
        return {group[0] for group in GROUPS} if self.on == ON_FATES[1] else set()


@dataclass(frozen=True)
class Expected:
    """What the rules say."""

    proven: int | None
    sent_off: frozenset[str]
    outcome: str | None


def by_the_rules(row: Row) -> Expected:
    """Work out a row: groups in order; a mute agent means that no off is sent to its group."""
    sent: set[str] = set()
    proven = None
    for number, (group, fate) in enumerate(zip(GROUPS, row.off, strict=True)):
        if fate in (MUTE, BOTH):
            continue
        sent |= set(group)
        if fate == WELL:
            proven = number
            break
    fails_on = sent & (row.dead_on() - row.stuck())  # who never went off needs no on
    if not sent:
        outcome: str | None = "failed"
    elif fails_on == sent:
        outcome = None  # pursued without end
    elif proven is None:
        outcome = "failed"  # restored
    else:
        outcome = "degraded" if fails_on else "done"
    return Expected(proven, frozenset(sent), outcome)


ROWS = [Row(off, on) for off in itertools.product(OFF_FATES, repeat=3) for on in ON_FATES]


def played(row: Row, order_of: tuple[int, int, int]) -> Scene:
    """Let a site with these fates fence its host, until the end or the pursuit of on."""
    agents = [
        agent(name, order=order_of[number]) for number, group in enumerate(GROUPS) for name in group
    ]
    scene = Scene(host("node7", *agents))
    scene.boots = False
    scene.run(10)
    scene.kill()
    for name in row.stuck():
        scene.switches["node7", name].stuck |= {FenceAction.OFF}
    for name in row.dead_on():
        scene.switches["node7", name].stuck |= {FenceAction.ON}
    for name in row.mute():
        scene.switches["node7", name].unreadable = AgentResult.UNREACHABLE
    for _ in range(400):
        scene.run(0.5)
        if scene.outcomes() or "left_off" in scene.alerts():
            break
    return scene


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{' / '.join(row.off)}: {row.on}")
def test_three_groups_come_out_as_the_rules_say(row: Row) -> None:
    expected = by_the_rules(row)
    scene = played(row, (1, 2, 3))
    sent = {name for name in NAMES if "off" in scene.commands(switch=name)}
    proven = [fields["group"] for fields in scene.fields("fence.off_proven")]

    assert sent == expected.sent_off
    assert proven == ([] if expected.proven is None else [expected.proven + 1])
    assert scene.outcomes() == ([] if expected.outcome is None else [expected.outcome])
    for name in expected.sent_off - row.dead_on():
        assert scene.switches["node7", name].power is PowerStatus.ON


@pytest.mark.parametrize("off", list(itertools.product(OFF_FATES, repeat=3)), ids=" / ".join)
def test_one_group_of_eight_is_off_only_if_every_member_is(off: tuple[str, ...]) -> None:
    row = Row(off, ON_FATES[0])
    scene = played(row, (1, 1, 1))
    everything_off = set(off) == {WELL}

    assert ("fence.off_proven" in scene.events()) is everything_off
    assert scene.outcomes() == (["done"] if everything_off else ["failed"])
    sent = {name for name in NAMES if "off" in scene.commands(switch=name)}
    assert sent == (set() if row.mute() else set(NAMES))
    assert all(scene.switches["node7", name].power is PowerStatus.ON for name in NAMES)


def test_the_table_has_at_least_two_hundred_rows() -> None:
    assert len(ROWS) + len(OFF_FATES) ** 3 >= 200
