"""Behaviour 3, holds 9 and 10: what do others say of a silent host?"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest

from pmwatchd.core import opinion
from pmwatchd.core.events import MaintenanceRequested, PowerRequested
from pmwatchd.core.model import Action, AliveCheck, Host, Opinion, PowerManagement
from pmwatchd.core.opinion import Word
from pmwatchd.core.orders import AskWitness
from tests.core.scene import Scene, agent, dead, host, ruled

NODE = host("node7", agent())
OTHER = host("node8", agent())


def witnesses(number: int) -> list[Host]:
    """Other hosts, ``w0``, ``w1`` ..., that may be asked."""
    return [host(f"w{n}", agent(), address=f"10.3.0.{n}") for n in range(number)]


def said(scene: Scene) -> list[tuple[float, object]]:
    """What witnesses said, and when."""
    return [(at, told.fields["result"]) for at, told in scene.told if told.event == "witness.said"]


def checked(**more: object) -> Host:
    """A host with an alive check."""
    return replace(NODE, alive_check=AliveCheck(command=("lease",), **more))  # type: ignore[arg-type]


def test_a_host_that_a_witness_reaches_is_not_fenced_we_are_cut_off() -> None:
    scene = dead(NODE, OTHER)
    scene.opinions["node8"] = Opinion.ALIVE
    scene.run(120)

    assert scene.commands() == []
    assert scene.holds() == ["seen_by_others"]
    assert scene.alerts() == {"partitioned"}


def test_fencing_goes_on_when_no_witness_reaches_it_any_more() -> None:
    scene = dead(NODE, OTHER)
    scene.opinions["node8"] = Opinion.ALIVE
    scene.run(60)
    scene.opinions["node8"] = Opinion.SILENT
    scene.run(30)

    assert scene.commands() == ["off", "on"]
    assert scene.alerts() == set()


@pytest.mark.parametrize(
    "by",
    [
        lambda scene: scene.load(replace(NODE, address="10.9.9.9"), OTHER),
        lambda scene: scene.ask(
            lambda n: MaintenanceRequested(request=n, host="node7", by="eva", reason="disk")
        ),
        lambda scene: scene.ask(
            lambda n: PowerRequested(request=n, host="node7", action=Action.RESTART, by="eva")
        ),
        lambda scene: scene.load(replace(NODE, power_management=PowerManagement()), OTHER),
        lambda scene: scene.pause(600.0),
    ],
    ids=["redefined", "in maintenance", "proven off", "unprotected", "paused"],
)
def test_a_host_about_which_nobody_is_asked_any_more_is_not_called_partitioned(
    by: Callable[[Scene], object],
) -> None:
    scene = dead(NODE, OTHER)
    scene.boots = False
    scene.opinions["node8"] = Opinion.ALIVE
    scene.run(60)
    assert scene.alerts() == {"partitioned"}
    by(scene)
    scene.run(30)

    assert "partitioned" not in scene.alerts()


def test_a_witness_that_cannot_be_asked_counts_for_nothing() -> None:
    scene = dead(NODE, OTHER)
    scene.opinions["node8"] = Opinion.NONE
    scene.run(60)

    assert scene.commands() == ["off", "on"]


def test_a_witness_that_reaches_it_is_not_outvoted_by_one_that_cannot_be_asked() -> None:
    scene = dead(NODE, *witnesses(3), rules=ruled(witnesses=1))
    scene.opinions = {"w0": Opinion.NONE, "w1": Opinion.ALIVE, "w2": Opinion.NONE}
    scene.run(300)

    assert scene.commands() == []
    assert scene.holds() == ["seen_by_others"]


def test_a_machine_that_cannot_be_asked_does_not_take_the_place_of_one_that_can() -> None:
    scene = dead(NODE, *witnesses(4), rules=ruled(witnesses=1))
    scene.opinions = {"w0": Opinion.NONE, "w1": Opinion.NONE, "w2": Opinion.NONE}
    scene.run(60)
    results = [result for _, result in said(scene)]

    assert results.count(Opinion.NONE) == 3


def test_witnesses_are_asked_while_the_grace_lasts_and_at_most_every_5_s() -> None:
    scene = dead(NODE, OTHER)
    scene.run(15)
    asked = [at for at, _ in said(scene)]
    gaps = [later - sooner for sooner, later in itertools.pairwise(asked)]

    assert scene.status() == "connecting"
    assert len(asked) > 1
    assert min(gaps) >= 5.0


def test_no_more_witnesses_than_configured_and_spread_over_clusters() -> None:
    others = [
        host(f"w{n}", agent(), cluster=cluster, address=f"10.3.0.{n}")
        for n, cluster in enumerate(["blue", "blue", "blue", "green"])
    ]
    scene = dead(NODE, *others, rules=ruled(witnesses=2))
    scene.run(3)
    asked = [order for order in scene.orders if isinstance(order, AskWitness)]
    first = {order.witness.name for order in asked if order.question == asked[0].question}

    assert len(first) == 2
    assert "w3" in first


def test_an_answer_that_comes_after_the_next_question_proves_nothing() -> None:
    scene = dead(NODE, OTHER)
    scene.run(60)
    before = scene.events()
    scene.said_late("node7", question=1, witness="node8")

    assert scene.events() == before


def test_a_witness_that_cannot_be_asked_takes_nothing_back_of_what_it_has_seen() -> None:
    asked = opinion.begin(opinion.Inquiry(), ["w"], 0.0, check=False)
    asked = opinion.heard(asked, 1, "w", Word(Opinion.ALIVE, "", 1.0))
    asked = opinion.begin(asked, ["w"], 5.0, check=False)
    asked = opinion.heard(asked, 2, "w", Word(Opinion.NONE, "sshd is gone", 5.5))

    assert opinion.seen_by(asked, 6.0) == ["w"]


def test_what_a_witness_has_seen_counts_for_a_while_after_it_is_lost() -> None:
    scene = dead(NODE, OTHER)
    scene.opinions["node8"] = Opinion.ALIVE
    scene.run(60)
    assert scene.holds() == ["seen_by_others"]
    scene.opinions["node8"] = Opinion.NONE
    seen_at = [at for at, result in said(scene) if result is Opinion.ALIVE][-1]
    scene.until("fence.intended")

    assert scene.now - seen_at >= opinion.GOOD_FOR_S


def test_a_word_that_has_faded_is_asked_for_again_before_anything_is_done() -> None:
    asked = opinion.begin(opinion.Inquiry(), ["w"], 0.0, check=True)
    asked = opinion.heard(asked, 1, "w", Word(Opinion.ALIVE, "", 0.5))
    asked = opinion.checked(asked, 1, Word(Opinion.SILENT, "", 6.0))

    assert not opinion.stale(asked, 8.5)
    assert opinion.seen_by(asked, 8.5) == ["w"]
    assert opinion.stale(asked, 8.6)
    assert opinion.seen_by(asked, 8.6) == []


def test_another_is_asked_at_once_in_the_place_of_one_that_cannot_be() -> None:
    scene = dead(NODE, *witnesses(3), rules=ruled(witnesses=1))
    scene.opinions = {"w0": Opinion.NONE, "w1": Opinion.NONE, "w2": Opinion.SILENT}
    scene.until("witness.said")
    scene.run(1.0)

    assert [result for _, result in said(scene)] == [Opinion.NONE, Opinion.NONE, Opinion.SILENT]


def test_nobody_that_is_known_to_be_mute_is_asked_in_the_place_of_another() -> None:
    scene = dead(NODE, *witnesses(2), rules=ruled(witnesses=1))
    scene.opinions = {"w0": Opinion.NONE, "w1": Opinion.NONE}
    scene.run(3)
    assert len(said(scene)) == 2  # each of them once
    scene.run(5)

    assert len(said(scene)) == 3


@pytest.mark.parametrize(("answers_after_s", "asked"), [(5.5, 2), (6.5, 1)])
def test_within_6_s_another_is_asked_in_its_place_and_later_nobody_is(
    answers_after_s: float, asked: int
) -> None:
    scene = dead(NODE, *witnesses(2), rules=ruled(witnesses=1))
    scene.opinions = {"w0": Opinion.NONE, "w1": Opinion.NONE}
    scene.witness_s = answers_after_s
    scene.until("witness.said")
    scene.run(0.1)

    assert len([order for order in scene.orders if isinstance(order, AskWitness)]) == asked


# the alive check -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "hold_on_error", "held"),
    [
        (Opinion.ALIVE, True, True),
        (Opinion.SILENT, True, False),
        (Opinion.NONE, True, True),
        (Opinion.NONE, False, False),
    ],
)
def test_a_sites_own_command_may_know_it_alive(
    says: Opinion, *, hold_on_error: bool, held: bool
) -> None:
    scene = dead(checked(hold_on_error=hold_on_error))
    scene.check = says
    scene.run(60)

    assert scene.holds() == (["alive_check"] if held else [])
    assert scene.commands() == ([] if held else ["off", "on"])


@pytest.mark.parametrize("check_s", [3.0, 6.0, 9.5])
def test_a_slow_command_delays_fencing_and_does_not_prevent_it(check_s: float) -> None:
    scene = dead(checked())
    scene.check_s = check_s
    scene.run(90)

    assert scene.commands() == ["off", "on"]


@pytest.mark.parametrize("check_s", [6.0, 9.0])
def test_who_reached_it_in_each_round_is_not_forgotten_because_the_command_is_slow(
    check_s: float,
) -> None:
    scene = dead(checked(timeout_s=20.0), OTHER)
    scene.check_s = check_s
    scene.opinions["node8"] = Opinion.ALIVE
    scene.run(300)

    assert scene.commands() == []


def test_a_command_that_a_reload_brings_is_asked_before_the_off() -> None:
    scene = dead(NODE, OTHER)
    scene.check = Opinion.ALIVE
    scene.switches["node7", "bmc"].took_s = 2.0
    scene.until("fence.opened")
    scene.load(checked(), OTHER)
    scene.run(100)

    assert scene.checks
    assert scene.commands() == []


def test_an_alive_check_through_a_proxy_names_those_that_may_run_it() -> None:
    scene = dead(checked(through_proxy=True), OTHER)
    scene.run(20)
    (first, *_) = scene.checks

    assert [candidate.name for candidate in first.chain] == ["node8"]


def test_another_proxy_is_the_first_to_run_an_alive_check_in_each_round() -> None:
    scene = dead(checked(through_proxy=True), *witnesses(2))
    scene.run(10)
    first = [order.chain[0].name for order in scene.checks]

    assert sorted(first) == ["w0", "w1"]


@pytest.mark.parametrize("reached", [False, True], ids=["others", "whoever reached it"])
def test_of_a_large_fleet_as_of_a_small_one_others_are_asked_in_each_round(
    *, reached: bool
) -> None:
    scene = dead(NODE, *witnesses(450), rules=ruled(witnesses=1))
    scene.reaches = False
    if reached:
        scene.opinions = {f"w{n}": Opinion.ALIVE for n in range(450)}
    scene.run(30)
    asked = [order.witness.name for order in scene.orders if isinstance(order, AskWitness)]

    assert len(asked) > 2
    assert len(set(asked)) == (1 if reached else len(asked))
