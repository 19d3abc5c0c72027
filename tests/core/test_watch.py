"""Behaviour 1: is it alive?"""

from __future__ import annotations

import math

import pytest

from pmwatchd.core import watch
from pmwatchd.core.events import Answered, DeadlineReached, ObserverPaused, Silent
from pmwatchd.core.model import Grace, Liveness
from pmwatchd.core.watch import Booting, Connecting, NonResponsive, Unknown, Up
from tests.core.scene import host

NODE = host(grace=Grace(period_s=60.0, failures=3))
SILENT = Silent("node7", last_answer_at=95.0)


def test_the_first_answer_makes_an_unknown_host_up() -> None:
    assert watch.step(NODE, Unknown(0), Answered("node7", 100), 100) == Up(100, base_at=100)


def test_an_unknown_host_stays_unknown_however_long_it_is_silent() -> None:
    state = watch.step(NODE, Unknown(0), Silent("node7", None), 100)
    for now in range(105, 1000, 5):
        state = watch.step(NODE, state, Silent("node7", None), now)

    assert isinstance(state, Unknown)
    assert watch.deadline(NODE, state) is None


def test_one_missed_heartbeat_begins_the_grace_period_at_the_last_answer() -> None:
    assert watch.step(NODE, Up(10), SILENT, 100) == Connecting(100, base_at=95, failures=1)


def test_a_host_that_answered_before_anybody_counted_begins_its_grace_when_it_came_up() -> None:
    state = watch.step(NODE, Up(10), Silent("node7", None), 12)

    assert state == Connecting(12, base_at=10, failures=1)


def test_another_answer_changes_nothing() -> None:
    assert watch.step(NODE, Up(10), Answered("node7", 100), 100) == Up(10)


@pytest.mark.parametrize(
    "silent", [Connecting(0, 0, 2), NonResponsive(0, 0), Booting(0, 600), Unknown(0)]
)
def test_one_answer_is_enough(silent: watch.Watch) -> None:
    assert watch.step(NODE, silent, Answered("node7", 50), 50) == Up(50, base_at=50)


def test_what_was_heard_before_a_pause_and_is_told_after_it_begins_no_silence_then() -> None:
    up = watch.step(NODE, Unknown(0), Answered("node7", 10), 100)

    assert watch.step(NODE, up, Silent("node7", 10), 105) == Connecting(
        105, base_at=100, failures=1
    )


@pytest.mark.parametrize("before", [Up(10), Connecting(100, base_at=95, failures=1)])
def test_silence_before_the_end_of_a_local_fault_counts_for_nothing(before: watch.Watch) -> None:
    deaf = Silent("node7", last_answer_at=95.0, deaf_until=180.0)
    state = watch.step(NODE, before, deaf, 200)

    assert isinstance(state, Connecting)
    assert state.base_at == 180


@pytest.mark.parametrize(
    ("deaf_since", "deaf_until", "base_at"),
    [(120.0, 150.0, 125.0), (90.0, 150.0, 150.0), (60.0, 90.0, 95.0)],
)
def test_a_silence_is_older_than_a_local_fault_in_it_by_what_was_heard_before(
    deaf_since: float, deaf_until: float, base_at: float
) -> None:
    silence = Connecting(100, base_at=95, failures=1)
    sign = Silent("node7", last_answer_at=95.0, deaf_since=deaf_since, deaf_until=deaf_until)

    assert watch.step(NODE, silence, sign, 155) == Connecting(100, base_at, failures=2)


def test_a_local_fault_now_and_then_does_not_keep_a_silence_from_its_end() -> None:
    state: watch.Watch = Up(10)
    for number in range(1, 30):
        now = 100.0 + 5.0 * number
        if number % 11:
            faulty = number % 11 == 1 and number > 1
            deaf = (now - 10.0, now - 5.0) if faulty else (-math.inf, -math.inf)
            state = watch.step(NODE, state, Silent("node7", 100.0, *deaf), now)

    assert state == NonResponsive(165.0, base_at=110.0)


def test_grace_does_not_end_by_count_alone() -> None:
    state = Connecting(100, base_at=95, failures=30)

    assert watch.step(NODE, state, SILENT, 154.9) == Connecting(100, 95, failures=31)


def test_grace_does_not_end_by_time_alone() -> None:
    state = Connecting(100, base_at=95, failures=1)

    assert watch.step(NODE, state, DeadlineReached(), 500) == state
    assert watch.step(NODE, state, SILENT, 500) == Connecting(100, 95, failures=2)
    assert watch.deadline(NODE, state) is None


def test_grace_ends_when_both_limits_are_reached() -> None:
    state = Connecting(100, base_at=95, failures=2)

    assert watch.step(NODE, state, SILENT, 155) == NonResponsive(155, base_at=95)


def test_time_ends_the_grace_of_a_host_whose_misses_are_enough() -> None:
    state = Connecting(100, base_at=95, failures=3)

    assert watch.deadline(NODE, state) == 155
    assert watch.step(NODE, state, DeadlineReached(), 154) == state
    assert watch.step(NODE, state, DeadlineReached(), 155) == NonResponsive(155, base_at=95)


def test_extra_grace_is_added() -> None:
    slow = host(grace=Grace(period_s=60.0, failures=3), extra_grace_s=30.0)

    assert watch.deadline(slow, Connecting(100, base_at=95, failures=3)) == 185


def test_a_non_responsive_host_stays_so_while_it_is_silent() -> None:
    assert watch.step(NODE, NonResponsive(155, 95), SILENT, 400) == NonResponsive(155, 95)
    assert watch.step(NODE, NonResponsive(155, 95), DeadlineReached(), 400) == NonResponsive(
        155, 95
    )


def test_a_booting_host_may_be_silent_until_its_boot_timeout() -> None:
    booting = watch.power_on(NODE, 100)

    assert booting == Booting(100, until_at=160)
    assert watch.deadline(NODE, booting) == 160
    assert watch.step(NODE, booting, SILENT, 159) == booting


def test_after_the_boot_timeout_a_full_grace_period_begins() -> None:
    booting = Booting(100, until_at=160)

    assert watch.step(NODE, booting, DeadlineReached(), 160) == Connecting(160, base_at=160)
    assert watch.step(NODE, booting, SILENT, 161) == Connecting(161, base_at=161)


LONG = ObserverPaused(for_s=10.1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Connecting(100, 95, failures=9), Connecting(100, base_at=200)),
        (NonResponsive(155, 95), Connecting(200, base_at=200)),
        (Unknown(5, failures=9), Unknown(200)),
        (Booting(100, until_at=160), Booting(100, until_at=170.1)),
        (Up(10), Up(10, base_at=200)),
    ],
)
def test_silence_counted_while_nobody_listened_is_forgotten(
    before: watch.Watch, after: watch.Watch
) -> None:
    assert watch.step(NODE, before, LONG, 200) == after


def test_after_a_pause_the_grace_of_a_host_that_was_up_begins_at_its_end() -> None:
    state = watch.step(NODE, Up(10), LONG, 200)

    assert watch.step(NODE, state, SILENT, 205) == Connecting(205, base_at=200, failures=1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Connecting(95, 90, failures=2), Connecting(95, base_at=200, failures=1)),
        (Connecting(95, 90), Connecting(95, base_at=200)),
        (Connecting(80, 80, failures=2), Connecting(80, base_at=200, failures=1)),
        (Connecting(79, 79, failures=2), Connecting(79, base_at=179, failures=2)),
        (Connecting(205, 202, failures=1), Connecting(205, 202, failures=1)),
        (NonResponsive(155, 95), Connecting(210, base_at=200, failures=1)),
        (NonResponsive(80, 20), NonResponsive(80, base_at=120)),
        (NonResponsive(80, 60), Connecting(80, base_at=160, failures=3)),
        (Unknown(5, failures=9), Unknown(210)),
        (Booting(50, until_at=160), Booting(50, until_at=260)),
        (Booting(150, until_at=210), Booting(150, until_at=260)),
        (Booting(205, until_at=265), Booting(205, until_at=265)),
        (Up(10), Up(10, base_at=200)),
        (Up(10, base_at=205), Up(10, base_at=205)),
    ],
)
def test_of_silence_in_which_nobody_could_be_heard_only_what_is_older_goes_on(
    before: watch.Watch, after: watch.Watch
) -> None:
    assert watch.misheard(NODE, before, 100, 200, 210) == after


@pytest.mark.parametrize("ours", [True, False])
def test_a_boot_that_nobody_listened_to_begins_anew_and_is_nobody_elses(*, ours: bool) -> None:
    booting = Booting(50, until_at=110, ours=ours)

    assert watch.unheard(NODE, booting, 200) == Booting(200, until_at=260, ours=ours)


def test_a_pause_of_up_to_two_intervals_is_no_pause() -> None:
    state = Connecting(100, 95, failures=2)

    assert watch.step(NODE, state, ObserverPaused(for_s=10.0), 110) == state


def test_every_state_has_its_word() -> None:
    states: list[watch.Watch] = [
        Unknown(0),
        Up(0),
        Connecting(0, 0),
        NonResponsive(0, 0),
        Booting(0, 1),
    ]

    assert [watch.liveness(state) for state in states] == list(Liveness)
