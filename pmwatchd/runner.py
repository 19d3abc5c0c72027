"""
The one door to power: carries out acts in parallel tasks and answers with facts.

Nothing else in the daemon executes an agent.  What goes wrong outside comes
back as a reply; a bug in a task ends the daemon, and the journal recovers.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from pmwatchd.core.events import AgentReplied, Event, HostProbed
from pmwatchd.core.model import AgentResult, Candidate, FenceAction, ProxyResult, Reply, Try
from pmwatchd.core.orders import Act, HoldDevice, ProbeHost, Recall, ReportNext, RunAgent
from pmwatchd.core.verdict import given_up, walks_on
from pmwatchd.devices import DeviceQueue, TextOnly, goes_by_name
from pmwatchd.errors import ProxyError, WithdrawnError
from pmwatchd.ports import Agents, Names, Prober

Command = tuple[str, str, int]
"""Which of an operation: its id, the agent, the turn."""

RECALLED = Reply(result=AgentResult.WITHDRAWN, text="not wanted any more when its time came")


class Runner:
    """
    Carries out acts.

    Args:
        agents: Executes one agent on one machine.
        inbox: Takes the facts that come of it.
        prober: Asks a host for a sign of life.
        clock: Seconds, monotonic.
        sleep: Waits so many seconds of that clock.
        names: Tells whether two devices are one; without it they go by their text only.
    """

    def __init__(
        self,
        *,
        agents: Agents,
        inbox: Callable[[Event], None],
        prober: Prober,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        names: Names | None = None,
    ) -> None:
        self._agents = agents
        self._inbox = inbox
        self._prober = prober
        self._clock = clock
        self._sleep = sleep
        self._devices = DeviceQueue(names=names or TextOnly(), clock=clock, sleep=sleep)
        self._running: Counter[str] = Counter()
        self._switching: set[tuple[str, str]] = set()
        self._commands: set[Command] = set()
        self._recalled: set[Command] = set()
        self._executions: set[asyncio.Task[None]] = set()
        self._naps: dict[str, set[asyncio.Task[None]]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._early: list[Act] = []
        self._closing = False

    @property
    def running(self) -> Mapping[str, int]:
        """How many executions each proxy runs now, by its name."""
        return dict(self._running)

    def carry_out(self, act: Act) -> None:
        """
        Begin an act and return at once; what comes of it is put into the inbox.

        Acts given before :meth:`run` wait for it; after :meth:`drain` began they
        are left undone, for their operation stays open in the journal.

        Raises:
            RuntimeError: An agent would switch the same host twice at once.
        """
        if self._closing:
            return
        if self._group is None:
            self._early.append(act)
            return
        match act:
            case RunAgent():
                self._claim(act)
                # at once: a recall may come in the same pass
                nap = self._nap(self._group, act) if act.not_before > self._clock() else None
                if act.action is not FenceAction.STATUS:
                    self._commands.add(_key(act))
                task = self._group.create_task(self._run_agent(act, nap))
                self._executions.add(task)
                task.add_done_callback(self._executions.discard)
            case ProbeHost():
                self._group.create_task(self._probe(act))
            case Recall():
                self._recalled |= {one for one in self._commands if one[0] == act.operation}
                self._wake(act.operation)
            case HoldDevice():
                until_at = self._clock() + act.for_s
                self._devices.hold(act.device, until_at=until_at)
                if goes_by_name(act.device):
                    hold = self._devices.hold_addresses(act.device, until_at=until_at)
                    self._group.create_task(hold)
            case ReportNext():
                self._prober.report_next(act.host)

    async def run(self) -> None:
        """Carry out acts until cancelled, or until a bug in one of them ends everything."""
        async with asyncio.TaskGroup() as self._group:
            early, self._early = self._early, []
            for act in early:
                self.carry_out(act)
            await asyncio.Event().wait()

    async def drain(self, deadline_s: float) -> None:
        """Begin nothing more; give what runs so many seconds to end, then leave it."""
        self._closing = True
        self._wake(*self._naps)
        if self._executions:
            await asyncio.wait(self._executions, timeout=deadline_s)

    def _claim(self, act: RunAgent) -> None:
        """Two commands at once to one switch may land in either order: never begin a second."""
        if act.action is FenceAction.STATUS:
            return
        owned = (act.host, act.agent.name)
        if owned in self._switching:
            raise RuntimeError(
                f"agent {act.agent.name} of {act.host} is being switched already;"
                f" {act.action} of {act.operation} must not be carried out"
            )
        self._switching.add(owned)

    def _nap(self, group: asyncio.TaskGroup, act: RunAgent) -> asyncio.Task[None]:
        """Begin to wait for the time of a spaced power-on, where a recall finds it."""
        nap = group.create_task(self._doze(act.not_before - self._clock()))
        naps = self._naps.setdefault(act.operation, set())
        naps.add(nap)
        nap.add_done_callback(naps.discard)
        nap.add_done_callback(lambda _: naps or self._naps.pop(act.operation, None))
        return nap

    def _wake(self, *operations: str) -> None:
        """What waits for its time in these operations is not to be begun any more."""
        for nap in [nap for name in operations for nap in self._naps.get(name, ())]:
            nap.cancel()

    async def _doze(self, duration_s: float) -> None:
        await self._sleep(duration_s)

    async def _run_agent(self, act: RunAgent, nap: asyncio.Task[None] | None) -> None:
        try:
            if nap is not None:
                await asyncio.wait({nap})
            recalled = nap is not None and nap.cancelled()
            reply = RECALLED if recalled else await self._walk(act)
        finally:
            if act.action is not FenceAction.STATUS:
                self._switching.discard((act.host, act.agent.name))
                self._commands.discard(_key(act))
                self._recalled.discard(_key(act))
        self._inbox(
            AgentReplied(
                host=act.host,
                operation=act.operation,
                turn=act.turn,
                agent=act.agent.name,
                action=act.action,
                reply=reply,
            )
        )

    async def _walk(self, act: RunAgent) -> Reply:
        """Ask one proxy after the other, without sleeping, until one settles the matter."""
        tries: list[Try] = []
        last: Reply | None = None
        for proxy in act.chain:
            try:
                reply = await self._execute(act, proxy)
            except WithdrawnError:
                text = "recalled, or the host has answered, or the last look is too old"
                return Reply(result=AgentResult.WITHDRAWN, tries=tuple(tries), text=text)
            except ProxyError as error:
                tries.append(_try(proxy, error.result, reason=error.reason))
                continue
            last = reply
            tries.append(_tried(proxy, reply))
            if not walks_on(reply.result) or (act.brief and given_up(tries)):
                break
        if last is None:
            text = "; ".join(f"{one.proxy}: {one.reason}" for one in tries)
            return Reply(
                result=AgentResult.NO_PROXY,
                tries=tuple(tries),
                text=text or "there is no machine that could run the agent",
            )
        return replace(last, tries=_last_that_ran(tries))

    async def _execute(self, act: RunAgent, proxy: Candidate) -> Reply:
        agent = act.agent
        async with self._devices.turn(
            agent.device,
            urgent=act.action is not FenceAction.STATUS,
            interval_s=agent.min_command_interval_s,
            again_within_s=act.look_good_for_s,
        ):
            if not self._still_permitted(act):  # do not even begin
                raise WithdrawnError
            self._running[proxy.name] += 1
            try:
                return await self._agents.execute(
                    agent,
                    act.action,
                    proxy,
                    limits=act.limits,
                    permitted=lambda: self._still_permitted(act),
                )
            finally:
                self._running[proxy.name] -= 1
                if not self._running[proxy.name]:
                    del self._running[proxy.name]

    def _still_permitted(self, act: RunAgent) -> bool:
        """Whether a command may begin: waiting for a device or a proxy takes time."""
        if act.action is not FenceAction.STATUS and self._closing:
            return False  # nobody listens any more; its operation stays open
        if _key(act) in self._recalled:
            return False
        if act.looked_at is None:
            return True
        answered_at = self._prober.last_answer_at(act.host)
        answers = answered_at is not None and answered_at > act.looked_at
        return not answers and self._clock() - act.looked_at <= act.look_good_for_s

    async def _probe(self, act: ProbeHost) -> None:
        result = await self._prober.probe(act.host)
        self._inbox(
            HostProbed(host=act.host.name, operation=act.operation, turn=act.turn, result=result)
        )


def _key(act: RunAgent) -> Command:
    return act.operation, act.agent.name, act.turn


def _try(
    proxy: Candidate, result: ProxyResult, answer: AgentResult | None = None, *, reason: str
) -> Try:
    return Try(proxy=proxy.name, source=proxy.source, result=result, answer=answer, reason=reason)


def _tried(proxy: Candidate, reply: Reply) -> Try:
    """Return what became of a proxy that started the agent."""
    result = ProxyResult.LOST if reply.result is AgentResult.KILLED else ProxyResult.OK
    return _try(proxy, result, reply.result, reason=reply.text)


def _last_that_ran(tries: list[Try]) -> tuple[Try, ...]:
    """Put the proxy last whose reply it is; those after it did not get so far."""
    index = max(number for number, one in enumerate(tries) if one.answer is not None)
    return (*tries[:index], *tries[index + 1 :], tries[index])
