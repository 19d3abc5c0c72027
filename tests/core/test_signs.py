"""Many probes, one heartbeat."""

from __future__ import annotations

import pytest

from pmwatchd.core.model import Heartbeat, Probe, ProbeResult, ProbeType
from pmwatchd.core.signs import combine, wants_words

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


@pytest.mark.parametrize(
    ("types", "wanted"),
    [
        ((ProbeType.TCP, ProbeType.ICMP), False),
        ((ProbeType.TCP, ProbeType.SSH), True),
        ((ProbeType.HTTP,), True),
        ((), False),
    ],
)
def test_ssh_and_http_ask_for_words(
    types: tuple[ProbeType, ...],
    wanted: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    probes = tuple(Probe(type=kind, address="10.0.0.7") for kind in types)

    assert wants_words(Heartbeat(probes=probes)) is wanted


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        (Probe(type=ProbeType.TCP, address="10.0.0.1", port=53), "tcp://10.0.0.1:53"),
        (Probe(type=ProbeType.ICMP, address="fd00::1"), "icmp://[fd00::1]"),
        (Probe(type=ProbeType.SSH, address="gw.example.org"), "ssh://gw.example.org"),
        (
            Probe(type=ProbeType.HTTP, address="10.0.0.1", path="/healthz", tls=True),
            "https://10.0.0.1/healthz",
        ),
    ],
)
def test_a_probe_is_written_like_an_address_of_the_web(probe: Probe, words: str) -> None:
    assert probe.words == words
