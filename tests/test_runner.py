"""The one door to power: behaviour.md sections 5 and 6."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace

import pytest
import pytest_asyncio

from pmwatchd.core.events import AgentReplied, Event, HostProbed
from pmwatchd.core.model import (
    AgentResult,
    Candidate,
    FenceAction,
    FenceAgent,
    Heartbeat,
    Host,
    Limits,
    PowerStatus,
    ProbeResult,
    ProxyResult,
    ProxySource,
    Reply,
)
from pmwatchd.core.orders import HoldDevice, ProbeHost, Recall, ReportNext, RunAgent
from pmwatchd.errors import ProxyError, WithdrawnError
from pmwatchd.ports import always
from pmwatchd.runner import Runner

BMC = FenceAgent(name="bmc", type="ipmilan", address="10.0.0.1")
OK = Reply(result=AgentResult.OK)
HOST = Host(name="node7", address="10.0.0.7", heartbeat=Heartbeat(probes=()))


def chain(*names: str) -> tuple[Candidate, ...]:
    return tuple(Candidate(name=name, source=ProxySource.CLUSTER) for name in names)


def order(
    *names: str,
    action: FenceAction = FenceAction.OFF,
    agent: FenceAgent = BMC,
    host: str = "node7",
) -> RunAgent:
    return RunAgent(
        host=host,
        operation="op_1",
        turn=3,
        agent=agent,
        action=action,
        chain=chain(*names),
        look_good_for_s=10.0,
    )


class Iron:
    """Proxies and a device that do what the test scripted for each proxy."""

    def __init__(self) -> None:
        self.script: dict[str, Reply | Exception] = {}
        self.asked: list[str] = []
        self.before: Callable[[], None] = lambda: None
        self.gate = asyncio.Event()
        self.gate.set()

    async def execute(
        self,
        agent: FenceAgent,
        action: FenceAction,
        proxy: Candidate,
        *,
        limits: Limits,
        permitted: Callable[[], bool] = always,
    ) -> Reply:
        self.asked.append(f"{agent.name} {action} {proxy.name}")
        self.limits = limits
        self.before()
        outcome = self.script.get(proxy.name, OK)
        if isinstance(outcome, Exception):
            raise outcome
        if not permitted():
            raise WithdrawnError
        await self.gate.wait()
        return outcome


class Ears:
    """A prober that hears what the test says."""

    def __init__(self) -> None:
        self.reported: list[str] = []
        self.answered_at: float | None = None

    async def probe(self, host: Host) -> ProbeResult:
        return ProbeResult.ALIVE if host.name == "node7" else ProbeResult.SILENT

    def report_next(self, host: str) -> None:
        self.reported.append(host)

    def watch(self, hosts: Mapping[str, Host]) -> None:
        raise NotImplementedError

    def last_answer_at(self, host: str) -> float | None:
        return self.answered_at if host == "node7" else None


class Bench:
    """A runner between scripted iron and an inbox."""

    def __init__(self) -> None:
        self.iron = Iron()
        self.ears = Ears()
        self.now = 1000.0
        self.book: dict[str, set[str]] = {}
        self.looked_up: list[tuple[str, float | None]] = []
        self.slept: list[float] = []
        self.awake = asyncio.Event()
        self.awake.set()
        self.inbox: asyncio.Queue[Event] = asyncio.Queue()
        self.runner = Runner(
            agents=self.iron,
            inbox=self.inbox.put_nowait,
            prober=self.ears,
            clock=lambda: self.now,
            sleep=self.sleep,
            names=self,
        )
        self.task = asyncio.create_task(self.runner.run())

    async def addresses(self, name: str, *, within_s: float | None) -> frozenset[str]:
        self.looked_up.append((name, within_s))
        await asyncio.sleep(0)
        return frozenset(self.book.get(name, ()))

    async def sleep(self, duration_s: float) -> None:
        self.slept.append(duration_s)
        await self.awake.wait()
        self.now += duration_s

    async def reply(self) -> Reply:
        event = await self.inbox.get()
        assert isinstance(event, AgentReplied)
        return event.reply

    async def carry_out(self, act: RunAgent) -> Reply:
        self.runner.carry_out(act)
        return await self.reply()

    @staticmethod
    async def settle() -> None:
        """Let every task that can run do so."""
        for _ in range(20):
            await asyncio.sleep(0)


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    """Yield a running runner, cancelled after the test."""
    bench = Bench()
    await bench.settle()
    yield bench
    bench.task.cancel()
    await asyncio.gather(bench.task, return_exceptions=True)


async def test_an_order_is_answered_with_its_own_turn(bench: Bench) -> None:
    bench.runner.carry_out(order("node2"))

    event = await bench.inbox.get()
    assert isinstance(event, AgentReplied)
    assert (event.host, event.operation, event.turn) == ("node7", "op_1", 3)
    assert (event.agent, event.action) == ("bmc", FenceAction.OFF)


async def test_the_first_proxy_that_runs_the_agent_takes_it(bench: Bench) -> None:
    reply = await bench.carry_out(order("node2", "node3"))

    assert bench.iron.asked == ["bmc off node2"]
    assert reply.proxy == "node2"
    assert [one.result for one in reply.tries] == [ProxyResult.OK]


async def test_a_proxy_that_fails_moves_the_walk_on_and_is_named(bench: Bench) -> None:
    bench.iron.script["node2"] = ProxyError(ProxyResult.HOST_KEY, "node2: another host key")

    reply = await bench.carry_out(order("node2", "node3"))

    assert reply.result is AgentResult.OK
    assert [(one.proxy, one.result) for one in reply.tries] == [
        ("node2", ProxyResult.HOST_KEY),
        ("node3", ProxyResult.OK),
    ]


async def test_when_every_proxy_fails_all_are_named_with_their_reasons(bench: Bench) -> None:
    bench.iron.script = {
        "node2": ProxyError(ProxyResult.UNREACHABLE, "refused"),
        "engine": ProxyError(ProxyResult.NOT_INSTALLED, "no fence_ipmilan"),
    }

    reply = await bench.carry_out(order("node2", "engine"))

    assert reply.result is AgentResult.NO_PROXY
    assert reply.proxy is None
    assert [one.reason for one in reply.tries] == ["refused", "no fence_ipmilan"]
    assert reply.text == "node2: refused; engine: no fence_ipmilan"


async def test_an_empty_chain_is_no_proxy(bench: Bench) -> None:
    reply = await bench.carry_out(order())

    assert (reply.result, reply.tries) == (AgentResult.NO_PROXY, ())


@pytest.mark.parametrize(
    "result",
    [
        AgentResult.ERROR,
        AgentResult.UNREACHABLE,
        AgentResult.UNSUPPORTED,
        AgentResult.GARBAGE,
    ],
)
async def test_a_proxy_whose_agent_fails_may_not_reach_the_device_so_the_next_is_tried(
    bench: Bench, result: AgentResult
) -> None:
    bench.iron.script["node2"] = Reply(result=result)

    reply = await bench.carry_out(order("node2", "node3"))

    assert (reply.result, reply.proxy) == (AgentResult.OK, "node3")


@pytest.mark.parametrize(
    "result", [AgentResult.AUTH_ERROR, AgentResult.TIMEOUT, AgentResult.KILLED]
)
@pytest.mark.parametrize("action", list(FenceAction))
async def test_a_refused_password_or_an_unknown_outcome_ends_the_walk(
    bench: Bench, result: AgentResult, action: FenceAction
) -> None:
    bench.iron.script["node2"] = Reply(result=result)

    reply = await bench.carry_out(order("node2", "node3", action=action))

    assert reply.result is result
    assert len(bench.iron.asked) == 1


async def test_the_last_that_ran_speaks_even_if_later_proxies_could_not_run(bench: Bench) -> None:
    bench.iron.script = {
        "node2": Reply(result=AgentResult.UNREACHABLE, text="silent"),
        "node3": Reply(result=AgentResult.ERROR, text="why"),
        "engine": ProxyError(ProxyResult.NOT_INSTALLED, "no fence_ipmilan"),
    }

    reply = await bench.carry_out(order("node2", "node3", "engine"))

    assert (reply.result, reply.text, reply.proxy) == (AgentResult.ERROR, "why", "node3")
    assert {one.proxy for one in reply.tries} == {"node2", "node3", "engine"}


async def test_orders_for_different_devices_run_in_parallel(bench: Bench) -> None:
    bench.iron.gate.clear()
    other = FenceAgent(name="bmc2", type="ipmilan", address="10.0.0.2")
    bench.runner.carry_out(order("node2"))
    bench.runner.carry_out(order("node2", agent=other))
    await bench.settle()

    assert len(bench.iron.asked) == 2
    assert bench.runner.running == {"node2": 2}


async def test_orders_for_one_device_run_one_after_the_other_off_before_polls(
    bench: Bench,
) -> None:
    bench.iron.gate.clear()
    outlet = FenceAgent(name="outlet", type="ipmilan", address="10.0.0.1", plug="2")
    bench.runner.carry_out(order("node2", action=FenceAction.STATUS))
    bench.runner.carry_out(order("node3", action=FenceAction.STATUS))
    bench.runner.carry_out(order("node2", agent=outlet))
    await bench.settle()
    assert bench.iron.asked == ["bmc status node2"]

    bench.iron.gate.set()
    for _ in range(3):
        await bench.reply()
    assert bench.iron.asked[1:] == ["outlet off node2", "bmc status node3"]
    assert bench.runner.running == {}


async def test_a_second_command_to_one_switch_is_a_bug(bench: Bench) -> None:
    bench.iron.gate.clear()
    bench.runner.carry_out(order("node2"))

    with pytest.raises(RuntimeError, match="switched already"):
        bench.runner.carry_out(order("node2", action=FenceAction.ON))


async def test_polls_and_other_hosts_agents_are_no_second_command(bench: Bench) -> None:
    bench.runner.carry_out(order("node2"))
    bench.runner.carry_out(order("node2", action=FenceAction.STATUS))
    bench.runner.carry_out(order("node2", host="node8"))
    for _ in range(3):
        await bench.reply()

    await bench.carry_out(order("node2", action=FenceAction.ON))


async def test_a_bug_in_a_task_ends_the_runner(bench: Bench) -> None:
    bench.iron.script["node2"] = ZeroDivisionError()
    bench.runner.carry_out(order("node2"))

    with pytest.raises(ExceptionGroup) as ended:
        await bench.task
    assert ended.group_contains(ZeroDivisionError)
    assert bench.inbox.empty()


async def test_a_fresh_heartbeat_is_reported(bench: Bench) -> None:
    bench.runner.carry_out(ProbeHost(host=HOST, operation="op_1", turn=5))

    assert await bench.inbox.get() == HostProbed(
        host="node7", operation="op_1", turn=5, result=ProbeResult.ALIVE
    )


async def test_the_next_answer_of_a_host_is_asked_for(bench: Bench) -> None:
    bench.runner.carry_out(ReportNext("node7"))

    assert bench.ears.reported == ["node7"]


async def test_orders_given_before_it_runs_are_carried_out() -> None:
    bench = Bench()
    bench.runner.carry_out(order("node2"))

    assert (await bench.reply()).proxy == "node2"
    bench.task.cancel()


async def test_draining_waits_for_what_runs_and_begins_nothing_more(bench: Bench) -> None:
    bench.iron.gate.clear()
    bench.runner.carry_out(order("node2"))
    await bench.settle()
    draining = asyncio.create_task(bench.runner.drain(60.0))
    await bench.settle()
    bench.runner.carry_out(order("node3", host="node8"))
    assert not draining.done()

    bench.iron.gate.set()
    await draining
    assert (await bench.reply()).proxy == "node2"
    assert bench.iron.asked == ["bmc off node2"]


async def test_draining_leaves_what_does_not_end_in_time(bench: Bench) -> None:
    bench.iron.gate.clear()
    bench.runner.carry_out(order("node2"))
    await bench.settle()

    await bench.runner.drain(0.0)

    assert bench.inbox.empty()
    assert bench.runner.running == {"node2": 1}


async def test_draining_with_nothing_running_ends_at_once(bench: Bench) -> None:
    await bench.runner.drain(60.0)


async def test_what_a_reading_proved_is_handed_on(bench: Bench) -> None:
    bench.iron.script["node2"] = Reply(result=AgentResult.OK, power=PowerStatus.OFF, exit_code=2)

    reply = await bench.carry_out(order("node2", action=FenceAction.STATUS))

    assert (reply.power, reply.exit_code) == (PowerStatus.OFF, 2)


async def test_an_off_is_withdrawn_when_the_host_has_answered_since_its_last_look(
    bench: Bench,
) -> None:
    bench.ears.answered_at = 1000.5
    reply = await bench.carry_out(replace(order("node2"), looked_at=1000.0))

    assert (reply.result, bench.iron.asked) == (AgentResult.WITHDRAWN, [])


async def test_an_off_is_withdrawn_when_its_last_look_is_too_old_even_in_the_middle_of_a_walk(
    bench: Bench,
) -> None:
    def hang() -> None:
        bench.now += 11.0

    bench.iron.script["node2"] = ProxyError(ProxyResult.UNREACHABLE, "no answer")
    bench.iron.before = hang
    reply = await bench.carry_out(replace(order("node2", "node3"), looked_at=1000.0))

    assert (reply.result, reply.proxy) == (AgentResult.WITHDRAWN, None)
    assert bench.iron.asked == ["bmc off node2"]


@pytest.mark.parametrize("answered_at", [None, 1000.5])
async def test_an_off_is_withdrawn_when_its_last_look_grew_old_or_wrong_on_the_way_to_the_agent(
    bench: Bench, answered_at: float | None
) -> None:
    def take_long() -> None:
        bench.now += 1.0 if answered_at else 10.1
        bench.ears.answered_at = answered_at

    bench.iron.before = take_long
    reply = await bench.carry_out(replace(order("node2", "node3"), looked_at=1000.0))

    assert (reply.result, reply.proxy) == (AgentResult.WITHDRAWN, None)
    assert bench.iron.asked == ["bmc off node2"]
    assert bench.runner.running == {}


async def test_an_off_after_a_look_that_takes_long_has_its_time_besides(bench: Bench) -> None:
    bench.now = 1016.9
    patient = replace(order("node2"), looked_at=1000.0, look_good_for_s=17.0)
    assert (await bench.carry_out(patient)).result is AgentResult.OK

    bench.now = 1017.1
    assert (await bench.carry_out(patient)).result is AgentResult.WITHDRAWN


@pytest.mark.parametrize("action", [FenceAction.OFF, FenceAction.ON])
async def test_draining_begins_no_command_that_waits_for_its_device(
    bench: Bench, action: FenceAction
) -> None:
    bench.iron.gate.clear()
    bench.runner.carry_out(order("node2", action=FenceAction.STATUS))
    await bench.settle()
    bench.runner.carry_out(replace(order("node2", action=action), looked_at=1000.0))
    await bench.settle()
    draining = asyncio.create_task(bench.runner.drain(60.0))
    await bench.settle()
    bench.iron.gate.set()
    await draining

    assert bench.iron.asked == ["bmc status node2"]
    assert [(await bench.reply()).result for _ in range(2)] == ["ok", "withdrawn"]


async def test_what_needs_no_last_look_is_never_withdrawn(bench: Bench) -> None:
    bench.ears.answered_at = 2000.0

    reply = await bench.carry_out(order("node2", action=FenceAction.ON))

    assert reply.result is AgentResult.OK


async def test_an_off_whose_last_look_still_counts_is_sent(bench: Bench) -> None:
    bench.ears.answered_at = 999.0
    reply = await bench.carry_out(replace(order("node2"), looked_at=1000.0))

    assert reply.result is AgentResult.OK


async def test_two_sources_that_cannot_reach_a_device_end_the_walk_where_another_group_is_left(
    bench: Bench,
) -> None:
    sources = (ProxySource.CLUSTER, ProxySource.CLUSTER, ProxySource.DC, ProxySource.ENGINE)
    machines = tuple(
        Candidate(name=f"node{number}", source=source) for number, source in enumerate(sources)
    )
    for one in machines:
        bench.iron.script[one.name] = Reply(result=AgentResult.UNREACHABLE)
    asked = order(action=FenceAction.STATUS)
    await bench.carry_out(replace(asked, chain=machines, brief=True))
    assert len(bench.iron.asked) == 3
    await bench.carry_out(replace(asked, chain=machines))

    assert len(bench.iron.asked) == 3 + 4


async def test_agents_that_name_one_device_differently_take_turns(bench: Bench) -> None:
    bench.book = {"bmc7": {"10.0.0.1"}}
    bench.iron.gate.clear()
    named = FenceAgent(name="named", type="ipmilan", address="bmc7")
    bench.runner.carry_out(order("node2", agent=named))
    await bench.settle()
    bench.runner.carry_out(order("node2", host="node8"))
    await bench.settle()
    assert bench.iron.asked == ["named off node2"]
    assert bench.looked_up == [("bmc7", 1.0)]  # and no more than a second for it

    bench.iron.gate.set()
    for _ in range(2):
        await bench.reply()
    assert bench.iron.asked[1:] == ["bmc off node2"]


@pytest.mark.parametrize("address", ["bmc7", "10.0.0.1"])
@pytest.mark.parametrize("held", ["bmc7", "10.0.0.1"])
async def test_a_device_is_held_under_all_its_names(bench: Bench, held: str, address: str) -> None:
    bench.book = {"bmc7": {"10.0.0.1"}}
    bench.runner.carry_out(
        HoldDevice(device=FenceAgent(name="a", type="ipmilan", address=held).device, for_s=40.0)
    )
    await bench.settle()

    agent = FenceAgent(name="b", type="ipmilan", address=address)
    await bench.carry_out(order("node2", agent=agent))

    assert bench.slept == [40.0]


def spaced(bench: Bench, *, agent: FenceAgent = BMC, operation: str = "op_1") -> RunAgent:
    """A power-on whose time comes in 7 s."""
    on = order("node2", action=FenceAction.ON, agent=agent)
    return replace(on, operation=operation, not_before=bench.now + 7.0)


async def test_a_power_on_that_is_spaced_waits_for_its_instant(bench: Bench) -> None:
    bench.awake.clear()
    bench.runner.carry_out(spaced(bench))
    await bench.settle()
    assert bench.iron.asked == []
    bench.awake.set()
    reply = await bench.reply()

    assert bench.slept == [7.0]
    assert (reply.result, bench.iron.asked) == (AgentResult.OK, ["bmc on node2"])


async def test_a_power_on_that_is_recalled_while_it_waits_is_answered_as_withdrawn_and_never_sent(
    bench: Bench,
) -> None:
    bench.awake.clear()
    second = FenceAgent(name="bmc2", type="ipmilan", address="10.0.0.2")
    bench.runner.carry_out(spaced(bench))
    bench.runner.carry_out(spaced(bench, agent=second))
    await bench.settle()
    bench.runner.carry_out(Recall(operation="op_1"))
    await bench.settle()
    assert bench.inbox.qsize() == 2  # at once, and not when their time comes
    replies = [await bench.reply() for _ in range(2)]
    bench.awake.set()
    await bench.settle()

    assert [(one.result, one.proxy) for one in replies] == [(AgentResult.WITHDRAWN, None)] * 2
    assert bench.iron.asked == []
    assert (await bench.carry_out(order("node2"))).result is AgentResult.OK  # it is free again


async def test_an_off_that_is_recalled_before_its_agent_was_told_is_never_sent(
    bench: Bench,
) -> None:
    def recall() -> None:
        bench.runner.carry_out(Recall(operation="op_1"))

    bench.iron.script["node2"] = ProxyError(ProxyResult.UNREACHABLE, "no answer")
    bench.iron.before = recall
    reply = await bench.carry_out(replace(order("node2", "node3"), looked_at=1000.0))

    assert (reply.result, bench.iron.asked) == (AgentResult.WITHDRAWN, ["bmc off node2"])
    bench.iron.before = lambda: None
    again = replace(order("node3"), looked_at=1000.0, turn=9)
    assert (await bench.carry_out(again)).result is AgentResult.OK


async def test_a_recall_concerns_no_other_operation_and_nothing_that_has_begun(
    bench: Bench,
) -> None:
    bench.awake.clear()
    bench.runner.carry_out(spaced(bench, operation="op_2"))
    bench.iron.gate.clear()
    bench.runner.carry_out(order("node3", host="node8"))
    await bench.settle()
    bench.runner.carry_out(Recall(operation="op_1"))
    bench.awake.set()
    bench.iron.gate.set()
    await bench.settle()
    replies = [await bench.reply() for _ in range(bench.inbox.qsize())]

    assert [one.result for one in replies] == [AgentResult.OK] * 2
    assert sorted(bench.iron.asked) == ["bmc off node3", "bmc on node2"]


async def test_a_runner_that_is_cancelled_while_a_power_on_waits_leaves_nothing_behind(
    bench: Bench,
) -> None:
    bench.awake.clear()
    before = asyncio.all_tasks()
    bench.runner.carry_out(spaced(bench))
    await bench.settle()
    assert len(asyncio.all_tasks() - before) == 2  # the execution and its nap
    bench.task.cancel()
    await bench.settle()

    assert bench.task.cancelled()
    assert asyncio.all_tasks() <= before
    bench.awake.set()
    await bench.settle()
    assert bench.iron.asked == []
    assert bench.inbox.empty()


async def test_a_power_on_that_is_recalled_in_the_pass_that_ordered_it_is_never_sent(
    bench: Bench,
) -> None:
    bench.runner.carry_out(spaced(bench))
    bench.runner.carry_out(Recall(operation="op_1"))
    reply = await bench.reply()

    assert (reply.result, bench.iron.asked) == (AgentResult.WITHDRAWN, [])


async def test_draining_begins_no_power_on_that_waits_for_its_time(bench: Bench) -> None:
    bench.awake.clear()
    bench.runner.carry_out(spaced(bench))
    await bench.settle()
    await bench.runner.drain(60.0)
    bench.awake.set()
    await bench.settle()

    assert bench.iron.asked == []
