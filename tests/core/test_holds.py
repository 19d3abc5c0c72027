"""Behaviour 3: may it be fenced?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pmwatchd.core.holds import Circumstances, Verdict, judge
from pmwatchd.core.model import HoldName, PowerManagement
from tests.core.scene import agent, host

NOTHING = Circumstances(host=host("node7", agent()), seen=True, startup_ends_at=300.0)


def names(about: Circumstances, now: float = 100.0) -> list[HoldName]:
    return [verdict.name for verdict in judge(about, now)]


def test_a_host_that_nothing_holds_may_be_fenced() -> None:
    assert judge(NOTHING, 100.0) == ()


def test_maintenance_holds_and_says_whose_it_is() -> None:
    about = replace(NOTHING, maintenance="maintenance by ann: new disk")

    assert judge(about, 100.0) == (Verdict(HoldName.MAINTENANCE, "maintenance by ann: new disk"),)


@pytest.mark.parametrize(
    "power", [PowerManagement(enabled=False, agents=(agent(),)), PowerManagement(agents=())]
)
def test_a_host_without_power_management_or_agent_is_unprotected(power: PowerManagement) -> None:
    about = replace(NOTHING, host=replace(NOTHING.host, power_management=power))

    assert names(about) == [HoldName.UNPROTECTED]


def test_a_host_not_seen_since_the_start_is_held_until_the_startup_hold_is_over() -> None:
    unseen = replace(NOTHING, seen=False)

    assert names(unseen, 299.9) == [HoldName.STARTUP]
    assert judge(unseen, 299.9)[0].until_at == 300.0
    assert names(unseen, 300.0) == []


def test_a_host_seen_since_the_start_is_not_delayed() -> None:
    assert names(replace(NOTHING, seen=True), 1.0) == []


def test_one_operation_at_a_time_per_host() -> None:
    assert names(replace(NOTHING, operation="op_1_1")) == [HoldName.OPERATION_RUNNING]


def test_quiet_time_and_backoff_end_by_themselves() -> None:
    about = replace(NOTHING, quiet_until=150.0, retry_at=160.0)

    assert names(about, 149.0) == [HoldName.QUIET_TIME, HoldName.BACKOFF]
    assert names(about, 150.0) == [HoldName.BACKOFF]
    assert names(about, 160.0) == []


def test_the_daemon_never_fences_its_own_host() -> None:
    assert names(replace(NOTHING, host=replace(NOTHING.host, engine=True))) == [HoldName.SELF]


def test_without_a_durable_intent_no_operation_begins() -> None:
    assert names(replace(NOTHING, journal_writable=False)) == [HoldName.JOURNAL_UNWRITABLE]


def test_all_holds_that_apply_are_shown_at_once() -> None:
    about = replace(
        NOTHING,
        host=host("node7", engine=True),
        seen=False,
        journal_writable=False,
        maintenance="maintenance by ann: new disk",
        operation="op_1_1",
        quiet_until=150.0,
        retry_at=160.0,
    )

    assert names(about) == [
        HoldName.MAINTENANCE,
        HoldName.UNPROTECTED,
        HoldName.STARTUP,
        HoldName.OPERATION_RUNNING,
        HoldName.QUIET_TIME,
        HoldName.BACKOFF,
        HoldName.SELF,
        HoldName.JOURNAL_UNWRITABLE,
    ]
