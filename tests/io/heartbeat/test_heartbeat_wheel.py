"""Things that are due."""

from __future__ import annotations

import math

from pmwatchd.io.heartbeat.wheel import SLOT_S, Wheel


def test_nothing_is_taken_before_its_time() -> None:
    wheel: Wheel[str] = Wheel()
    wheel.put(10.01, "a")

    assert wheel.take(10.01) == []
    assert wheel.next_at >= 10.01
    assert wheel.take(wheel.next_at) == [(wheel_time(10.01), ["a"])]


def test_what_falls_into_one_slot_is_taken_together_and_earlier_slots_first() -> None:
    wheel: Wheel[str] = Wheel()
    for at, item in [(7.02, "c"), (3.01, "a"), (3.02, "b")]:
        wheel.put(at, item)

    assert [items for _, items in wheel.take(100.0)] == [["a", "b"], ["c"]]


def test_an_empty_wheel_is_never_due() -> None:
    wheel: Wheel[str] = Wheel()
    wheel.put(1.0, "a")
    wheel.take(2.0)

    assert wheel.next_at == math.inf
    assert wheel.take(1e9) == []


def wheel_time(at: float) -> float:
    return math.ceil(at / SLOT_S) * SLOT_S
