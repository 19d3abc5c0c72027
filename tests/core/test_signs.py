"""Many probes, one heartbeat."""

from __future__ import annotations

import pytest

from pmwatchd.core.model import ProbeResult
from pmwatchd.core.signs import combine

ALIVE, SILENT, FAULT = ProbeResult.ALIVE, ProbeResult.SILENT, ProbeResult.LOCAL_FAULT


@pytest.mark.parametrize("others", [(), (SILENT,), (FAULT,), (SILENT, FAULT)])
def test_one_answer_is_enough(others: tuple[ProbeResult, ...]) -> None:
    assert combine([*others, ALIVE], require_all=False) is ALIVE


def test_one_answer_ends_the_heartbeat_before_the_other_probes_do() -> None:
    assert combine([SILENT, ALIVE], pending=3, require_all=False) is ALIVE


def test_silence_of_one_probe_waits_for_the_others() -> None:
    assert combine([SILENT], pending=1, require_all=False) is None


def test_silence_of_every_probe_is_silence() -> None:
    assert combine([SILENT, SILENT], require_all=False) is SILENT


def test_silence_beside_a_local_fault_is_not_silence() -> None:
    assert combine([SILENT, FAULT], require_all=False) is FAULT


def test_where_all_must_answer_one_silent_probe_is_silence() -> None:
    assert combine([ALIVE, FAULT, SILENT], require_all=True) is SILENT
    assert combine([SILENT], pending=2, require_all=True) is SILENT


def test_where_all_must_answer_a_local_fault_hides_the_answers() -> None:
    assert combine([ALIVE, FAULT], require_all=True) is FAULT


def test_where_all_must_answer_the_heartbeat_waits_for_all() -> None:
    assert combine([ALIVE], pending=1, require_all=True) is None
    assert combine([ALIVE, ALIVE], require_all=True) is ALIVE


@pytest.mark.parametrize("require_all", [True, False])
def test_a_heartbeat_that_asked_nothing_is_neither_alive_nor_silent(
    require_all: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    assert combine([], require_all=require_all) is FAULT
