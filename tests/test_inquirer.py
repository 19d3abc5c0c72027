"""The second opinion is asked for in parallel, and never waited for too long: behaviour.md 3."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence

import pytest

from pmwatchd.core.events import AliveChecked, Event, SoftFenced, WitnessSaid
from pmwatchd.core.model import (
    AliveCheck,
    Candidate,
    Heartbeat,
    Host,
    Opinion,
    ProxySource,
)
from pmwatchd.core.orders import AskWitness, CheckAlive, FenceSoftly
from pmwatchd.inquirer import CHECKS_AT_ONCE, WITNESSES_AT_ONCE, Inquirer
from pmwatchd.ports import Said
from tests.simulation.loop import VirtualLoop, World

NODE2 = Candidate(name="node2", source=ProxySource.CLUSTER)
HOST = Host(
    name="node7",
    address="10.0.0.7",
    heartbeat=Heartbeat(probes=()),
    alive_check=AliveCheck(command=("lease", "node7"), timeout_s=7.0),
)


class Others:
    """Say what the test scripted, when it lets them."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.said = Said(Opinion.ALIVE, "tcp answers")
        self.reason = ""
        self.bug: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def ask_witness(self, host: Host, witness: Candidate) -> Said:
        await self._hear(f"{witness.name} about {host.name}")
        return self.said

    async def check_alive(self, host: Host, chain: Sequence[Candidate]) -> Said:
        await self._hear(f"the command about {host.name} on {[one.name for one in chain]}")
        return self.said

    async def fence_softly(self, host: Host, target: Candidate) -> str:
        await self._hear(f"{host.name} as {target.name}")
        return self.reason

    async def _hear(self, question: str) -> None:
        self.asked.append(question)
        await self.gate.wait()
        if self.bug is not None:
            raise self.bug


class Bench:
    """An inquirer between scripted others and an inbox."""

    def __init__(self) -> None:
        self.others = Others()
        self.inbox: asyncio.Queue[Event] = asyncio.Queue()
        self.inquirer = Inquirer(inquiries=self.others, inbox=self.inbox.put_nowait)
        self.task = asyncio.create_task(self.inquirer.run())

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def play(scene: Callable[[Bench], Coroutine[None, None, None]]) -> None:
    """Play a scene in virtual time."""

    async def whole() -> None:
        bench = Bench()
        try:
            await scene(bench)
        finally:
            await bench.end()

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(World())) as runner:
        runner.run(whole())


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


def ask(question: int = 3) -> AskWitness:
    return AskWitness(host=HOST, question=question, witness=NODE2)


def test_a_witness_is_asked_and_its_word_comes_back() -> None:
    async def scene(bench: Bench) -> None:
        bench.inquirer.carry_out(ask())

        assert await bench.inbox.get() == WitnessSaid(
            "node7", 3, "node2", Opinion.ALIVE, "tcp answers"
        )
        assert bench.others.asked == ["node2 about node7"]

    play(scene)


def test_the_alive_check_gets_its_chain_and_its_word_comes_back() -> None:
    async def scene(bench: Bench) -> None:
        bench.others.said = Said(Opinion.SILENT, "exit status 1")
        bench.inquirer.carry_out(CheckAlive(host=HOST, question=4, chain=(NODE2,)))

        assert await bench.inbox.get() == AliveChecked("node7", 4, Opinion.SILENT, "exit status 1")
        assert bench.others.asked == ["the command about node7 on ['node2']"]

    play(scene)


@pytest.mark.parametrize("reason", ["", "exit status 3"])
def test_soft_fencing_ran_unless_there_is_a_reason_why_not(reason: str) -> None:
    async def scene(bench: Bench) -> None:
        bench.others.reason = reason
        bench.inquirer.carry_out(FenceSoftly(host=HOST, question=5, target=NODE2))

        assert await bench.inbox.get() == SoftFenced("node7", 5, ran=not reason, reason=reason)

    play(scene)


def test_questions_are_asked_in_parallel() -> None:
    async def scene(bench: Bench) -> None:
        bench.others.gate.clear()
        for number in range(5):
            bench.inquirer.carry_out(ask(number))
        bench.inquirer.carry_out(CheckAlive(host=HOST, question=6))
        await settle()

        assert len(bench.others.asked) == 6
        assert bench.inbox.empty()

    play(scene)


@pytest.mark.parametrize(
    ("act", "answer", "after_s"),
    [
        (
            ask(),
            WitnessSaid("node7", 3, "node2", Opinion.NONE, "no answer within 2 s"),
            2.0,
        ),
        (
            CheckAlive(host=HOST, question=4),
            AliveChecked("node7", 4, Opinion.NONE, "no answer within 7 s"),
            7.0,
        ),
        (
            FenceSoftly(host=HOST, question=5, target=NODE2),
            SoftFenced("node7", 5, ran=False, reason="no answer within 60 s"),
            60.0,
        ),
    ],
    ids=["witness", "alive check", "soft fencing"],
)
def test_no_question_waits_longer_than_its_limit(
    act: AskWitness | CheckAlive | FenceSoftly, answer: Event, after_s: float
) -> None:
    async def scene(bench: Bench) -> None:
        bench.others.gate.clear()
        asked_at = asyncio.get_running_loop().time()
        bench.inquirer.carry_out(act)

        assert await bench.inbox.get() == answer
        assert asyncio.get_running_loop().time() - asked_at == pytest.approx(after_s)

    play(scene)


def test_so_many_witnesses_are_asked_at_once_and_the_rest_wait() -> None:
    async def scene(bench: Bench) -> None:
        bench.others.gate.clear()
        for number in range(WITNESSES_AT_ONCE + 1):
            bench.inquirer.carry_out(ask(number))
        await settle()
        assert len(bench.others.asked) == WITNESSES_AT_ONCE

        bench.others.gate.set()
        said = [await bench.inbox.get() for _ in range(WITNESSES_AT_ONCE + 1)]
        assert len(bench.others.asked) == WITNESSES_AT_ONCE + 1
        assert all(isinstance(one, WitnessSaid) and one.reason == "tcp answers" for one in said)

    play(scene)


def test_a_question_that_waited_too_long_is_not_asked_and_says_nothing() -> None:
    async def scene(bench: Bench) -> None:
        bench.others.gate.clear()
        asked_at = asyncio.get_running_loop().time()
        for number in range(CHECKS_AT_ONCE + 1):
            bench.inquirer.carry_out(CheckAlive(host=HOST, question=number))

        first = await bench.inbox.get()
        assert isinstance(first, AliveChecked)
        assert (first.question, first.opinion) == (CHECKS_AT_ONCE, Opinion.NONE)
        assert first.reason == "not asked: other questions took more than 5 s"
        assert asyncio.get_running_loop().time() - asked_at == pytest.approx(5.0)
        assert len(bench.others.asked) == CHECKS_AT_ONCE

    play(scene)


def test_slow_alive_checks_keep_no_witness_waiting() -> None:
    async def scene(bench: Bench) -> None:
        bench.others.gate.clear()
        for number in range(CHECKS_AT_ONCE + 1):
            bench.inquirer.carry_out(CheckAlive(host=HOST, question=number))
        bench.inquirer.carry_out(ask())
        await settle()

        assert "node2 about node7" in bench.others.asked

    play(scene)


def test_questions_put_before_the_start_wait_for_it() -> None:
    async def scene(bench: Bench) -> None:
        bench.inquirer.carry_out(ask(1))
        assert bench.others.asked == []
        await bench.inbox.get()
        assert bench.others.asked == ["node2 about node7"]

    play(scene)


def test_after_the_end_nothing_is_asked() -> None:
    async def scene(bench: Bench) -> None:
        await settle()
        await bench.end()
        bench.inquirer.carry_out(FenceSoftly(host=HOST, question=5, target=NODE2))
        await settle()

        assert bench.others.asked == []

    play(scene)


def test_the_end_cuts_off_what_is_being_asked() -> None:
    async def scene(bench: Bench) -> None:
        bench.others.gate.clear()
        bench.inquirer.carry_out(ask())
        await settle()
        await bench.end()

        assert bench.others.asked == ["node2 about node7"]
        assert bench.inbox.empty()

    play(scene)


def test_a_bug_in_a_question_ends_the_daemon() -> None:
    async def scene(bench: Bench) -> None:
        bench.others.bug = ZeroDivisionError()
        bench.inquirer.carry_out(ask())
        with pytest.raises(ExceptionGroup) as caught:
            await bench.task

        assert caught.group_contains(ZeroDivisionError)

    play(scene)
