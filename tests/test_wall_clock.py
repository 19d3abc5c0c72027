"""The wall clock is shown and decides nothing, however it is set back or forward."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle, repeat
from pathlib import Path

import pytest

import pmwatchd
from pmwatchd.core.events import (
    AgentReplied,
    Answered,
    DeadlineReached,
    Event,
    HeartbeatsHeard,
    HostProbed,
    InventoryLoaded,
    Silent,
    WitnessSaid,
)
from pmwatchd.core.fleet import Fleet
from pmwatchd.core.model import (
    AgentResult,
    FenceAction,
    Host,
    Opinion,
    PowerStatus,
    ProbeResult,
    ProxyResult,
    Reply,
    Try,
)
from pmwatchd.core.orders import (
    Act,
    AskWitness,
    ProbeHost,
    Record,
    RunAgent,
    SaveHost,
    SaveOperation,
    SaveSite,
    Told,
)
from pmwatchd.engine import Engine
from pmwatchd.ports import Entry, Row
from tests.core.scene import RULES, agent, host

STEP_S = 0.5
STEPS = 400
DIES_AT, BOOTS_FOR = 10, 8  # in steps
START = datetime(2026, 11, 21, 12, tzinfo=UTC)
JUMPS = [timedelta(0), timedelta(days=4000), timedelta(days=-9000), timedelta(seconds=-3)]

WALLS = {
    "set back and forward": cycle(START + jump for jump in JUMPS),
    "stands still": repeat(START),
    "runs backwards": (START - timedelta(hours=n) for n in range(10**9)),
}


@dataclass
class TwoClocks:
    """A monotonic clock that runs evenly, and a wall clock that somebody plays with."""

    walls: Iterator[datetime]
    at: float = 1000.0

    def now(self) -> float:
        return self.at

    def wall(self) -> datetime:
        return next(self.walls)


@dataclass
class Memory:
    """A journal that keeps the last word on everything."""

    orders: list[Record | SaveOperation | SaveHost | SaveSite] = field(default_factory=list)

    async def commit(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            order = entry.order
            self.orders.append(order.record if isinstance(order, Told) else order)

    async def records(self, **_wanted: object) -> list[Row]:
        return []

    async def operations(self, **_wanted: object) -> list[Row]:
        return []

    def open_operations(self) -> list[SaveOperation]:
        last = {order.id: order for order in self.orders if isinstance(order, SaveOperation)}
        return [operation for operation in last.values() if operation.outcome is None]

    def hosts(self) -> dict[str, SaveHost]:
        return {order.host: order for order in self.orders if isinstance(order, SaveHost)}


@dataclass
class Iron:
    """A host that dies once, and whose switch does at once what it is told."""

    target: Host
    power: PowerStatus = PowerStatus.ON
    booted_at: int = 0

    def alive(self, step: int) -> bool:
        on = self.power is PowerStatus.ON
        return on and (step < DIES_AT or 0 < self.booted_at <= step)

    def answer(self, act: Act, step: int) -> Event | None:
        match act:
            case RunAgent():
                return self._switched(act, step)
            case ProbeHost():
                result = ProbeResult.ALIVE if self.alive(step) else ProbeResult.SILENT
                return HostProbed(self.target.name, act.operation, act.turn, result)
            case AskWitness():
                return WitnessSaid(self.target.name, act.question, act.witness.name, Opinion.SILENT)
            case _:
                return None

    def _switched(self, act: RunAgent, step: int) -> AgentReplied:
        if act.action is FenceAction.OFF:
            self.power = PowerStatus.OFF
        elif act.action is FenceAction.ON:
            self.power, self.booted_at = PowerStatus.ON, step + BOOTS_FOR
        power = self.power if act.action is FenceAction.STATUS else PowerStatus.UNKNOWN
        proxy = act.chain[0]
        tried = Try(proxy=proxy.name, source=proxy.source, result=ProxyResult.OK)
        reply = Reply(result=AgentResult.OK, power=power, tries=(tried,))
        return AgentReplied(act.host, act.operation, act.turn, act.agent.name, act.action, reply)


async def story(walls: Iterator[datetime]) -> tuple[list[Act], list[object]]:
    """Let a host die, be fenced, the daemon be killed in the middle of off, and all come back."""
    clock, memory, acts = TwoClocks(walls), Memory(), list[Act]()
    target, other = host("node7", agent()), host("node8")
    iron = Iron(target)
    waiting: list[Act] = []

    def carry_out(act: Act) -> None:
        acts.append(act)
        waiting.append(act)

    async def daemon(epoch: int) -> Engine:
        fleet = Fleet(
            epoch=epoch,
            now=clock.now(),
            wall=clock.wall(),
            memories=memory.hosts(),
            operations=memory.open_operations(),
        )
        durable = frozenset(saved.id for saved in memory.open_operations())
        engine = Engine(
            fleet=fleet,
            journal=memory,
            carry_out=carry_out,
            tellers=(),
            clock=clock,
            durable=durable,
        )
        await engine._pass([InventoryLoaded({target.name: target, other.name: other}, RULES)])
        return engine

    engine = await daemon(1)
    for step in range(STEPS):
        clock.at += STEP_S
        acted, waiting[:] = list(waiting), []
        replies = [reply for act in acted if (reply := iron.answer(act, step)) is not None]
        if any(isinstance(act, RunAgent) and act.action is FenceAction.OFF for act in acted):
            replies = []
            engine = await daemon(2)
        heard = [HeartbeatsHeard(answered=(Answered(other.name, clock.at),))]
        if iron.alive(step):
            heard.append(HeartbeatsHeard(answered=(Answered(target.name, clock.at),)))
        else:
            heard.append(HeartbeatsHeard(silent=(Silent(target.name, clock.at - 2.0),)))
        await engine._pass([*replies, *heard, DeadlineReached()])
    return acts, list(memory.orders)


@pytest.mark.parametrize("how", WALLS)
async def test_a_wall_clock_that_is_played_with_changes_no_order_and_no_record(how: str) -> None:
    evenly = (START + timedelta(seconds=n) for n in range(10**9))

    acts, orders = await story(evenly)
    played_acts, played_orders = await story(WALLS[how])

    actions = [act.action for act in acts if isinstance(act, RunAgent)]
    assert actions.count(FenceAction.OFF) == 1, "the story must be worth telling"
    assert actions.count(FenceAction.ON) == 1
    events = [order.event for order in orders if isinstance(order, Record)]
    assert events.count("fence.continued") == 1
    assert events.count("fence.closed") == 1
    assert played_acts == acts
    assert played_orders == orders


def _calls(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield every call of a method in a function of a module: function and method."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    yield function.name, ast.unparse(node.func)


@pytest.mark.parametrize("part", ["core", "engine.py", "runner.py", "devices.py"])
def test_who_decides_reads_the_wall_clock_only_to_show_it(part: str) -> None:
    place = Path(pmwatchd.__file__).parent / part
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    calls = {call for file in files for call in _calls(ast.parse(file.read_text()))}

    readers = {function for function, method in calls if method.endswith(".wall")}
    system = {method for _, method in calls if method.startswith(("time.", "datetime.now"))}
    assert readers == ({"_entry", "wall_of"} if part == "engine.py" else set())
    assert system == set()
